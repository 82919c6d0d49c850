"""Samples: what a queue's figures were in the last minute, for rates and sparklines."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ferryman.inspector import QueueStats

WINDOW_MS: Final = 60_000
#: Over how long a rate is taken, so that it does not flicker.
_RATE_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Some figures at a moment of Redis' clock."""

    at_ms: int
    waiting: int
    completed: int


class Samples:
    """The samples of one queue; older ones than the window are forgotten."""

    def __init__(self) -> None:
        self._kept: deque[Sample] = deque()

    def add(self, stats: QueueStats) -> None:
        """A reading that is not newer than the last one is left out."""
        if self._kept and stats.now_ms <= self._kept[-1].at_ms:
            return
        self._kept.append(Sample(stats.now_ms, stats.waiting, stats.completed))
        while len(self._kept) > 2 and self._kept[1].at_ms < stats.now_ms - WINDOW_MS:
            self._kept.popleft()

    def done_per_s(self) -> float | None:
        """Over the last seconds, or between the last two samples when those lie farther apart; None before that."""
        if len(self._kept) < 2:
            return None
        last = self._kept[-1]
        recent = [one for one in self._kept if one.at_ms >= last.at_ms - _RATE_MS and one is not last]
        first = recent[0] if recent else self._kept[-2]
        return _rate(first, last)

    def waiting(self, width: int) -> list[float | None]:
        """The most that waited in each of `width` steps of the last minute; unknown before the first sample."""
        steps: list[float | None] = [None] * width
        last: list[float | None] = [None] * width
        for sample in self._kept:
            ago_ms = self._kept[-1].at_ms - sample.at_ms
            place = max(0, width - 1 - ago_ms * width // WINDOW_MS)
            steps[place], last[place] = max(sample.waiting, steps[place] or 0), sample.waiting
        for place in range(1, width):
            if steps[place] is None:  # nothing was read in this step: what was known before
                steps[place] = last[place] = last[place - 1]
        return steps


def _rate(first: Sample, last: Sample) -> float:
    return max(0, last.completed - first.completed) * 1000 / (last.at_ms - first.at_ms)
