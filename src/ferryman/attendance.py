"""Attendance: waiting for the ends of tasks, pushed and never polled.

Everybody in one event loop who waits for tasks of one queue shares one list and one connection, on which a BLPOP is
out. What is pushed there only says that a task has ended; how is then read. After a broken connection everybody looks
again, for what was pushed meanwhile may have been lost with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from ferryman.ends import Ending, Ends
from ferryman.errors import BrokerError, BrokerUnavailable
from ferryman.ids import new_task_id
from ferryman.link import Link, SyncLink

logger = logging.getLogger(__name__)

#: One BLPOP waits this long: well below the time after which a link takes silence for a broken connection.
_WAIT_S: Final = 5.0
_RETRY_FIRST_S: Final = 0.05
_RETRY_LONGEST_S: Final = 1.0

#: States in which nothing more will come.
ENDED: Final = frozenset({"completed", "dead", "discarded", "missing", "crowded"})


class Attendance:
    """Who waits for tasks of one queue, in one event loop."""

    def __init__(self, queue: str) -> None:
        self._ends = Ends(queue)
        self._me = new_task_id()
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def ending(self, link: Link, task_id: str) -> Ending:
        """Waits until the task has ended; also while Redis is away. The caller sets the limit."""
        moved = asyncio.Event()
        self._waiting.setdefault(task_id, []).append(moved)
        failures = 0
        try:
            while True:
                try:
                    [ending] = await link.run(self._ends.attend([task_id], self._me))
                except BrokerUnavailable as error:
                    failures = _failed(failures, error)
                    await asyncio.sleep(_pause_s(failures))
                    continue
                failures = 0
                if ending.state in ENDED:
                    return ending
                if self._listener is None or self._listener.done():
                    self._listener = asyncio.create_task(self._listen(link), name="ends")
                await moved.wait()
                moved.clear()
        finally:
            self._waiting[task_id].remove(moved)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    async def _listen(self, link: Link) -> None:
        failures = 0
        while self._waiting:
            try:
                ended = await link.run(self._ends.next(self._me, _WAIT_S))
                ids = [] if ended is None else [ended, *await link.run(self._ends.more(self._me))]
            except BrokerError as error:
                failures = _failed(failures, error)
                ids = list(self._waiting)
                await asyncio.sleep(_pause_s(failures))
            else:
                failures = 0
            for task_id in ids:
                for moved in self._waiting.get(task_id, ()):
                    moved.set()


def ending_sync(link: SyncLink, queue: str, task_id: str, timeout_s: float | None) -> Ending:
    """The same for a thread, which has a list and, while it waits, a connection of its own.

    Returns after `timeout_s` in any case, with a state that is no end.
    """
    ends, me = Ends(queue), new_task_id()
    give_up = None if timeout_s is None else time.monotonic() + timeout_s
    failures, ending = 0, Ending("", b"")
    while True:
        left_s = _WAIT_S if give_up is None else give_up - time.monotonic()
        try:
            [ending] = link.run(ends.attend([task_id], me))
            if ending.state in ENDED or left_s <= 0:
                return ending
            # BLPOP takes 0 for ever.
            link.run(ends.next(me, max(min(left_s, _WAIT_S), 0.01)))
            failures = 0
        except BrokerUnavailable as error:
            failures = _failed(failures, error)
            if left_s <= 0:
                return ending
            time.sleep(min(_pause_s(failures), left_s))


def _failed(failures: int, error: BrokerError) -> int:
    if not failures:
        logger.warning("waiting for the end of a task: %s; looking again when it is back", error)
    return failures + 1


def _pause_s(failures: int) -> float:
    return float(min(_RETRY_FIRST_S * 2 ** min(failures, 10), _RETRY_LONGEST_S))
