"""Forecast: which of the tasks that run are about to end, when they take about the same time.

Tasks that wait for the same service end as they began: in crowds, or one by one. The mean rate tells nothing of the
crowds. When runs are alike, their starts tell the ends, so work for the next slots can be fetched just before it is
needed: it waits for milliseconds, and nothing goes back.
"""

from __future__ import annotations

#: How far it looks: a few round trips on a busy machine.
FORECAST_S = 0.01
#: A round trip between two longer runs is nothing, and need not be saved.
_LONGEST_S = 0.5
#: A run that differs by more than this from the usual one, or by half of it, is none of its kind.
_SLACK_S = 0.02
#: So many more that were alike than were not make a forecast; it takes no more than the most to be unmade.
_ALIKE_ENOUGH = 10
_ALIKE_MOST = 40
_WEIGHT = 0.05


class Forecast:
    """Starts of what waits in slots, per process. Times are seconds of any one clock; a key stands for one run."""

    def __init__(self) -> None:
        #: Starts, the oldest first: of runs that are not expected to end yet, and of those that are.
        self._early: dict[object, float] = {}
        self._due: dict[object, float] = {}
        self._usual_s = 0.0
        #: Above 0 while runs of late were alike.
        self.alike = 0

    def began(self, key: object, now_s: float) -> None:
        """A run waits for the first time: its start."""
        self._early[key] = now_s

    def ended(self, key: object, run_s: float) -> None:
        """A run that has waited is over."""
        if self._early.pop(key, None) is None:
            self._due.pop(key, None)
        off_s = run_s - self._usual_s
        if abs(off_s) <= min(_SLACK_S, self._usual_s / 2):
            self._usual_s += off_s * _WEIGHT
            self.alike = min(self.alike + 1, _ALIKE_MOST)
        elif self.alike:
            self.unlike()
        else:
            self._usual_s = run_s

    def unlike(self) -> None:
        """A run was none of the usual kind, or what was foretold did not come."""
        self.alike >>= 1

    @property
    def valid(self) -> bool:
        """Runs are alike, and so long that a slot ends once at most as far as this looks; not longer than it pays."""
        return self.alike >= _ALIKE_ENOUGH and FORECAST_S <= self._usual_s <= _LONGEST_S

    def due(self, now_s: float) -> int:
        """How many runs are expected to end within FORECAST_S. Those that should have ended long ago don't count."""
        self._sort(now_s)
        return len(self._due)

    def until_next_s(self, now_s: float) -> float | None:
        """How long until one more run is due, or one that begins now would be; None when that can't be told."""
        if not self.valid:
            return None
        self._sort(now_s)
        if not self._early:
            return max(self._usual_s - FORECAST_S, FORECAST_S)
        return next(iter(self._early.values())) + self._usual_s - FORECAST_S - now_s

    def _sort(self, now_s: float) -> None:
        early, due = self._early, self._due
        began_by_s = now_s + FORECAST_S - self._usual_s
        while early and early[key := next(iter(early))] <= began_by_s:
            due[key] = early.pop(key)
        overdue_s = began_by_s - FORECAST_S - _SLACK_S
        while due and due[key := next(iter(due))] < overdue_s:
            del due[key]
