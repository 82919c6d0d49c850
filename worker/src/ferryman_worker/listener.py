"""Listener: waits for a task on a connection of its own: waiting -> handed, by BLMOVE.

Only an idle worker listens; what it is handed it fetches next. While Redis is away it tries again with backoff.
Whatever breaks here strands nothing: an id that was handed and never fetched is put back by the recoverer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ferryman.call import Call, command
from ferryman.errors import BrokerError
from ferryman.keys import Keys
from ferryman.link import Link

logger = logging.getLogger(__name__)

#: One BLMOVE waits this long; also how soon a half-open connection is noticed, with the margin of the reply.
WAIT_S = 5
REPLY_MARGIN_S = 5
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 2.0


class Listener:
    """At most one BLMOVE at a time. `woken` is called when one ends, however it does."""

    def __init__(self, link: Link, keys: Keys, woken: Callable[[], None]) -> None:
        self._link = link
        self._call: Call[str | None] = command(
            "BLMOVE", keys.waiting, keys.handed, "RIGHT", "LEFT", WAIT_S, read=_member
        )
        self._woken = woken
        self._task: asyncio.Task[str] | None = None
        self._handed: str | None = None

    @property
    def listening(self) -> bool:
        """A BLMOVE is out."""
        return self._task is not None

    @property
    def handed(self) -> bool:
        """Something was handed over and not taken yet."""
        return self._handed is not None

    def listen(self) -> None:
        """Starts to wait, unless it does already."""
        if self._task is None and self._handed is None:
            self._task = asyncio.get_running_loop().create_task(self._wait(), name="listener")
            self._task.add_done_callback(self._ended)

    def take(self) -> str | None:
        """What was handed over, once."""
        handed, self._handed = self._handed, None
        return handed

    def stop(self) -> None:
        """Stops waiting. The connection is closed, so that Redis hands nothing to nobody."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> str:
        failures = 0
        while True:
            try:
                handed = await self._link.run(self._call)
            except BrokerError as error:
                failures += 1
                if failures == 1:
                    logger.warning("Redis: %s; listening again when it is back", error)
                await asyncio.sleep(min(_RETRY_FIRST_S * 2 ** min(failures, 10), _RETRY_LONGEST_S))
            else:
                failures = 0
                if handed is not None:
                    return handed

    def _ended(self, task: asyncio.Task[str]) -> None:
        self._task = None
        if not task.cancelled():
            self._handed = task.result()
        self._woken()


def _member(reply: Any) -> str | None:
    return None if reply is None else reply.decode()
