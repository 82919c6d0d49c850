"""Attendance: waiting for the ends of tasks, pushed and never polled.

Everybody in one event loop who waits for tasks of one queue shares one list and one connection, on which a BLPOP is
out. What is pushed there only says that a task has ended; how is then read. After a broken connection everybody looks
again, for what was pushed meanwhile may have been lost with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from ferryman.ends import Ending, Ends
from ferryman.errors import BrokerError, BrokerUnavailable
from ferryman.ids import new_task_id
from ferryman.link import Link, SyncLink

logger = logging.getLogger(__name__)

#: One BLPOP waits this long: well below the time after which a link takes silence for a broken connection.
_WAIT_S: Final = 5.0
#: So many tasks are asked for in one script call.
_AT_ONCE: Final = 200
_RETRY_FIRST_S: Final = 0.05
_RETRY_LONGEST_S: Final = 1.0

#: States in which nothing more will come.
ENDED: Final = frozenset({"completed", "dead", "discarded", "missing", "crowded"})


class Watch:
    """What to ask for: the end of a task, and before it the deaths of those `before` it. No Redis."""

    def __init__(self, task_id: str, before: Sequence[str]) -> None:
        self.task_id = task_id
        self.open = dict.fromkeys([task_id, *before])
        self.unasked = dict(self.open)
        self.last = Ending("", b"")  # what was heard of the task itself

    def some(self) -> list[str]:
        """Whom to ask next: so many at once that a script stays short; the task itself when there is nobody else."""
        return list(islice(self.unasked, _AT_ONCE)) or [self.task_id]

    def ask_again(self, ids: Iterable[str]) -> None:
        """Something became of these."""
        self.unasked |= {one: None for one in ids if one in self.open}

    def take(self, ids: Sequence[str], endings: Sequence[Ending]) -> tuple[str, Ending] | None:
        """The end that was waited for, if it is among these."""
        for one, ending in zip(ids, endings, strict=True):
            self.unasked.pop(one, None)
            if one == self.task_id:
                self.last = ending
                if ending.state in ENDED:
                    return one, ending
            elif ending.state == "dead":
                return one, ending
            elif ending.state in ENDED:
                self.open.pop(one, None)
        return None


class _Moved:
    """The ids of which a waiter was told."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._ids: list[str] = []

    def add(self, task_id: str) -> None:
        self._ids.append(task_id)
        self.event.set()

    def take(self) -> list[str]:
        ids, self._ids = self._ids, []
        self.event.clear()
        return ids


class Attendance:
    """Who waits for tasks of one queue, in one event loop."""

    def __init__(self, queue: str) -> None:
        self._ends = Ends(queue)
        self._me = new_task_id()
        self._waiting: dict[str, list[_Moved]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def ending(self, link: Link, task_id: str, before: Sequence[str] = ()) -> tuple[str, Ending]:
        """Waits until the task has ended, or one `before` it is dead; which, and how. Also waits while Redis is away.

        The caller sets the limit.
        """
        moved, watch = _Moved(), Watch(task_id, before)
        for one in watch.open:
            self._waiting.setdefault(one, []).append(moved)
        failures = 0
        try:
            while True:
                try:
                    asked = watch.some()
                    endings = await link.run(self._ends.attend(asked, self._me))
                except BrokerUnavailable as error:
                    failures = _failed(failures, error)
                    await asyncio.sleep(_pause_s(failures))
                    continue
                failures = 0
                if (found := watch.take(asked, endings)) is not None:
                    return found
                if watch.unasked:
                    continue
                if self._listener is None or self._listener.done():
                    self._listener = asyncio.create_task(self._listen(link), name="ends")
                await moved.event.wait()
                watch.ask_again(moved.take())
        finally:
            for one in {task_id, *before}:
                self._waiting[one].remove(moved)
                if not self._waiting[one]:
                    del self._waiting[one]

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
                    moved.add(task_id)


def ending_sync(
    link: SyncLink, queue: str, task_id: str, timeout_s: float | None, before: Sequence[str] = ()
) -> tuple[str, Ending]:
    """The same for a thread, which has a list and, while it waits, a connection of its own.

    Returns after `timeout_s` in any case, with a state that is no end.
    """
    ends, me, watch = Ends(queue), new_task_id(), Watch(task_id, before)
    give_up = None if timeout_s is None else time.monotonic() + timeout_s
    failures = 0
    while True:
        left_s = _WAIT_S if give_up is None else give_up - time.monotonic()
        try:
            asked = watch.some()
            found = watch.take(asked, link.run(ends.attend(asked, me)))
            if found is not None or left_s <= 0:
                return found or (task_id, watch.last)
            if not watch.unasked:
                # BLPOP takes 0 for ever. Who was told of nothing looks again at the one that counts.
                ended = link.run(ends.next(me, max(min(left_s, _WAIT_S), 0.01)))
                watch.ask_again([task_id] if ended is None else [ended, *link.run(ends.more(me))])
            failures = 0
        except BrokerUnavailable as error:
            failures = _failed(failures, error)
            if left_s <= 0:
                return task_id, watch.last
            time.sleep(min(_pause_s(failures), left_s))
            watch.ask_again(list(watch.open))


def _failed(failures: int, error: BrokerError) -> int:
    if not failures:
        logger.warning("waiting for the end of a task: %s; looking again when it is back", error)
    return failures + 1


def _pause_s(failures: int) -> float:
    return float(min(_RETRY_FIRST_S * 2 ** min(failures, 10), _RETRY_LONGEST_S))
