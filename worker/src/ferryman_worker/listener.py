"""Listener: waits for a task on a connection of its own: waiting -> handed, by BLMOVE.

Only an idle worker listens; what it is handed it fetches next. While Redis is away it tries again with backoff.
Whatever breaks here strands nothing: an id that was handed and never fetched is put back by the recoverer.

A full Redis refuses BLMOVE but not fetch. Then the worker fetches twice a second without having been handed anything:
it must go on, or Redis would stay full.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ferryman.broker import Broker
from ferryman.errors import BrokerError, QueueFull
from ferryman.link import Link

logger = logging.getLogger(__name__)

#: One BLMOVE waits this long; also how soon a half-open connection is noticed, with the margin of the reply.
WAIT_S = 5
REPLY_MARGIN_S = 5
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 2.0
_FULL_PAUSE_S = 0.5


class Listener:
    """At most one BLMOVE at a time. `woken` is called when one ends, however it does."""

    def __init__(self, link: Link, broker: Broker, woken: Callable[[], None]) -> None:
        self._link = link
        self._call = broker.hand_over(WAIT_S)
        self._woken = woken
        self._task: asyncio.Task[str | None] | None = None
        self._handed: str | None = None
        self._refused = False

    @property
    def listening(self) -> bool:
        """A BLMOVE is out."""
        return self._task is not None

    @property
    def handed(self) -> bool:
        """A fetch may find something: what was handed over and not taken yet, or unseen in a full Redis."""
        return self._handed is not None or self._refused

    def listen(self) -> None:
        """Starts to wait, unless it does already."""
        if self._task is None and not self.handed:
            self._task = asyncio.get_running_loop().create_task(self._wait(), name="listener")
            self._task.add_done_callback(self._ended)

    def take(self) -> str | None:
        """What was handed over, once."""
        handed, self._handed, self._refused = self._handed, None, False
        return handed

    def stop(self) -> None:
        """Stops waiting. The connection is closed, so that Redis hands nothing to nobody."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> str | None:
        failures = 0
        while True:
            try:
                handed = await self._link.run(self._call)
            except QueueFull:
                await asyncio.sleep(_FULL_PAUSE_S)
                return None
            except BrokerError as error:
                failures += 1
                if failures == 1:
                    logger.warning("Redis: %s; listening again when it is back", error)
                await asyncio.sleep(min(_RETRY_FIRST_S * 2 ** min(failures, 10), _RETRY_LONGEST_S))
            else:
                failures = 0
                if handed is not None:
                    return handed

    def _ended(self, task: asyncio.Task[str | None]) -> None:
        self._task = None
        if not task.cancelled():
            self._handed = task.result()
            self._refused = self._handed is None
        self._woken()
