"""Ledger: what the beat child counts for metrics, on a page of memory that the worker reads at a scrape.

It has one writer, the child, and numbers only ever grow. A scrape in the middle of a count may miss it; the next one
has it.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from typing import Final

from ferryman.cause import Cause
from ferryman.round_trips import TRIP_BOUNDS_S
from ferryman_worker.counters import Histogram, Recovered

_CAUSES: Final = tuple(Cause)
#: Where each begins, in words: trips per bucket, their sum in nanoseconds, tasks to waiting and to dead per cause.
_TRIPS: Final = 0
_TRIPS_NS: Final = _TRIPS + len(TRIP_BOUNDS_S) + 1
_TO_WAITING: Final = _TRIPS_NS + 1
_TO_DEAD: Final = _TO_WAITING + len(_CAUSES)
_WORDS: Final = _TO_DEAD + len(_CAUSES)


class Ledger:
    """Made before the fork; both processes use the same object."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, _WORDS * 8)).cast("q")

    # The child writes.

    def count_trip(self, seconds: float) -> None:
        """A round trip was answered."""
        self._words[_TRIPS + bisect_left(TRIP_BOUNDS_S, seconds)] += 1
        self._words[_TRIPS_NS] += round(seconds * 1e9)

    def count(self, cause: Cause, waiting: int, dead: int) -> None:
        """Tasks were recovered."""
        at = _CAUSES.index(cause)
        self._words[_TO_WAITING + at] += waiting
        self._words[_TO_DEAD + at] += dead

    # The worker reads.

    def trip_seconds(self) -> Histogram:
        """The round trips until now."""
        histogram = Histogram(TRIP_BOUNDS_S)
        histogram.counts = list(self._words[_TRIPS:_TRIPS_NS])
        histogram.total = self._words[_TRIPS_NS] / 1e9
        return histogram

    def recovered(self) -> Recovered:
        """The tasks recovered until now."""
        recovered = Recovered()
        for at, cause in enumerate(_CAUSES):
            recovered.count(cause, self._words[_TO_WAITING + at], self._words[_TO_DEAD + at])
        return recovered
