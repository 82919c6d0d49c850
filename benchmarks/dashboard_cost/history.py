"""The history of a town's series: counters grow, each at a pace of its own, and gauges take turns at being the highest.

That gauges take turns matters: a `topk(10, …)` over time has ten lines only where the same ten are always on top.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from zlib import crc32

from dashboard_cost.exporters import Series

#: Gauges of a town run through this many values.
_TURN = 997
_NEVER = 1e18
_GOOD_AT_0 = ("_unaccounted", "_hold")
_GOOD_AT_1 = ("_reachable", "_durable", "_scheduler_ready")
_MOMENT = "_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class Course:
    """A series whose value at step i is (begin + pace * i) % turn."""

    key: str
    begin: float
    pace: float
    turn: float


class History:
    """`steps` samples of each series, `every_s` apart; the last is at `end_s` (epoch)."""

    def __init__(self, series: Iterable[Series], *, end_s: float, steps: int, every_s: int) -> None:
        self.end_s = end_s
        self.steps = steps
        self.every_s = every_s
        self._courses = [self._course(one) for one in series]

    @property
    def series(self) -> int:
        """How many there are."""
        return len(self._courses)

    @property
    def start_s(self) -> float:
        """When the first sample is."""
        return self.end_s - (self.steps - 1) * self.every_s

    def text(self, step: int) -> str:
        """All samples of one step, in Prometheus' text format with its moment."""
        at = f" {int((self.start_s + step * self.every_s) * 1000)}\n"
        return at.join([f"{c.key} {(c.begin + c.pace * step) % c.turn:.3f}" for c in self._courses] + [""])

    def _course(self, one: Series) -> Course:
        # The buckets of a histogram grow together, or they would not be those of one.
        who = crc32("/".join(value for label, value in one.labels.items() if label != "le").encode())
        if one.is_counter:
            return Course(one.key, 1_000.0 * one.share, (who % 13 + 1) * one.share, _NEVER)
        if one.name.endswith(_MOMENT):
            return Course(one.key, self.start_s, float(self.every_s), _NEVER)
        if one.name.endswith(_GOOD_AT_0):
            return Course(one.key, 0.0, 0.0, _NEVER)
        if one.name.endswith(_GOOD_AT_1):
            return Course(one.key, 1.0, 0.0, _NEVER)
        return Course(one.key, float(who % _TURN), float(who % 113 + 1), float(_TURN))
