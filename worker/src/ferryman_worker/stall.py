"""Stall: notices that what was fetched ahead does not get its turn, so that somebody idle can have it.

It looks at what starts between two looks in the loop, and not at the age of what waits alone: a process that the
machine kept from running for a while would take that for slow tasks, and give back what it is about to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ferryman_worker.pool import Pool

#: Between two looks. What came just after one is seen by the next and judged by the one after it: at most twice this.
LOOK_EVERY_S: Final = 0.02
#: A look that comes so long after the last one says more of the machine than of the tasks.
_LATE_S: Final = 1.5 * LOOK_EVERY_S


class Stall:
    """`stalled(first, last)` is called when those of the line in the pool have waited since the last look and won't
    start soon: from its place `first` (0 is the next to start) up to, but without, `last`.
    """

    def __init__(self, pool: Pool, stalled: Callable[[int, int], None]) -> None:
        self._pool = pool
        self._stalled = stalled
        #: At the last look.
        self._ahead = 0
        self._started = 0
        self._looked_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Tasks have come. Looks until none waits any more."""
        if self._timer is None and self._pool.ahead:
            loop = asyncio.get_running_loop()
            self._ahead, self._started, self._looked_s = self._pool.ahead, self._pool.started, loop.time()
            self._timer = loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        since_s = asyncio.get_running_loop().time() - self._looked_s
        first, last = stuck(self._ahead, self._pool.started - self._started, since_s)
        if first < last:
            self._stalled(first, min(last, self._pool.ahead))
        self.watch()


def stuck(ahead: int, started: int, since_s: float) -> tuple[int, int]:
    """Which places of the line are to go back: of those that waited at the last look, `since_s` ago, all that won't
    start within half a look if it goes on like that. None when something has started and this look is late. Pure.
    """
    if started and since_s > _LATE_S:
        return 0, 0
    return started // 2, ahead - started
