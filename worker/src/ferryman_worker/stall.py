"""Stall: notices that what was fetched ahead does not get its turn, so that somebody idle can have it.

Two looks in the loop with no start between them, and not the age of what waits: a process that the machine kept from
running for a while would take that for slow tasks, and give back what it is about to run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ferryman_worker.pool import Pool

#: Between two looks. A start just after one is seen by the next and counted by the one after it: at most twice this.
LOOK_EVERY_S: Final = 0.02


class Stall:
    """`stalled` is called when tasks wait in the pool and nothing has started there since the last look."""

    def __init__(self, pool: Pool, stalled: Callable[[], None]) -> None:
        self._pool = pool
        self._stalled = stalled
        self._started = 0
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Tasks have come. Looks until none waits any more."""
        if self._timer is None and self._pool.ahead:
            self._started = self._pool.started
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._pool.ahead and self._pool.started == self._started:
            self._stalled()
        self.watch()
