"""Listener: waits for a task on a connection of its own: waiting -> handed, by BLMOVE, and the fetch right behind it.

Only an idle worker listens. The fetch is sent along with the BLMOVE, so a task that comes costs one way to Redis and
none back: Redis runs the fetch when the BLMOVE has ended, and both answers arrive together. While Redis is away it
tries again with backoff. Whatever breaks here strands nothing: an id that was handed and never fetched is put back by
the recoverer, and a fetch whose answer was lost is found by comparing lists.

A full Redis refuses BLMOVE but not fetch. Then the worker fetches twice a second without having been handed anything:
it must go on, or Redis would stay full.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.errors import BrokerError, QueueFull
from ferryman.link import Link
from ferryman.protocol import Fetched

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
        self._lost = False
        self._failures = 0

    @property
    def listening(self) -> bool:
        """A BLMOVE is out, and a fetch with it."""
        return self._task is not None

    @property
    def handed(self) -> bool:
        """A fetch may find something: what was handed over, and the fetch behind it was refused."""
        return self._handed is not None

    def listen(self, fetch: Call[Fetched], landed: Callable[[Fetched], None]) -> None:
        """Starts to wait, unless it does already; `landed` is given what `fetch` brings. It must not raise."""
        if self._task is None and not self.handed:
            self._task = asyncio.get_running_loop().create_task(self._wait(fetch, landed), name="listener")
            self._task.add_done_callback(self._ended)

    def take(self) -> str | None:
        """What was handed over and not fetched, once."""
        handed, self._handed = self._handed, None
        return handed

    def take_lost(self) -> bool:
        """Whether a fetch had no answer since this was last asked: it may have been applied."""
        lost, self._lost = self._lost, False
        return lost

    def stop(self) -> None:
        """Stops waiting. The connection is closed, so that Redis hands nothing to nobody."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self, fetch: Call[Fetched], landed: Callable[[Fetched], None]) -> str | None:
        """What was handed over, when the fetch behind it was refused."""
        try:
            handed, fetched = await self._link.run_all([self._call, fetch])
        except BrokerError as error:
            self._lost = True
            await self._pause(error)
            return None
        if isinstance(fetched, BrokerError):
            self._lost = True
        else:
            landed(fetched)
        if isinstance(handed, QueueFull):
            if not (isinstance(fetched, Fetched) and fetched.tasks):
                await asyncio.sleep(_FULL_PAUSE_S)
        elif isinstance(handed, BrokerError):
            await self._pause(handed)
        else:
            self._failures = 0
            return str(handed) if handed is not None and isinstance(fetched, BrokerError) else None
        return None

    async def _pause(self, error: BrokerError) -> None:
        self._failures += 1
        if self._failures == 1:
            logger.warning("Redis: %s; listening again when it is back", error)
        await asyncio.sleep(min(_RETRY_FIRST_S * 2 ** min(self._failures, 10), _RETRY_LONGEST_S))

    def _ended(self, task: asyncio.Task[str | None]) -> None:
        self._task = None
        if task.cancelled():
            self._lost = True
        else:
            self._handed = task.result()
        self._woken()
