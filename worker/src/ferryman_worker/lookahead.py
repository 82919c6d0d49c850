"""Lookahead: how many tasks to hold beyond the free slots, learned from how long tasks take.

The measure is the time until the next task can start: a task that never waits keeps the whole loop to itself,
so it costs its run time; one that waits shares the loop with the other slots. No-op tasks are fetched by the
hundred, one-second tasks not at all beyond the free slots. Where runs are alike, their starts tell more than a mean:
see `forecast`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ferryman_worker.forecast import Forecast

#: Work for this long is kept at hand: a few round trips to Redis.
HORIZON_S = 0.005
#: Never more than this beyond the free slots.
MOST_AHEAD = 200
#: Tasks that were fetched ahead and have not started after this long go back.
GIVE_BACK_S = 0.2

_WEIGHT = 0.05


class Lookahead:
    """An exponentially weighted mean of the time between starts, per process."""

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._clock = clock
        self._forecast = Forecast()
        #: Seconds. Starts high: nothing is hoarded before anything was measured.
        self._between_starts_s = 1.0
        self._measured = False

    def waits(self, slot: object) -> None:
        """What runs in this slot gives the loop to others, for the first time."""
        self._forecast.began(slot, self._clock())

    def ran(self, run_s: float, waited: bool, slot: object = None) -> None:
        """The task in `slot` ended after `run_s`; `waited` says whether it ever gave the loop to others."""
        if waited:
            cost_s = run_s / self._slots
            self._forecast.ended(slot, run_s)
        else:
            cost_s = run_s
            if self._forecast.alike:
                self._forecast.unlike()
        if not self._measured:
            self._between_starts_s, self._measured = cost_s, True
            return
        self._between_starts_s += (cost_s - self._between_starts_s) * _WEIGHT

    def gave_back(self) -> None:
        """Tasks did not start in time, so those that run take longer than was measured."""
        self._between_starts_s = max(self._between_starts_s, GIVE_BACK_S)
        self._forecast.unlike()

    def target(self) -> int:
        """How many tasks to hold beyond the free slots."""
        if not self._measured:
            return 0
        if self._forecast.valid:
            return min(self._forecast.due(self._clock()), MOST_AHEAD)
        if self._between_starts_s * MOST_AHEAD <= HORIZON_S:
            return MOST_AHEAD
        return int(HORIZON_S / self._between_starts_s)

    def until_more_s(self) -> float | None:
        """How long until `target` grows although nothing happens; None when that can't be told."""
        return self._forecast.until_next_s(self._clock())
