"""Counters: what the worker counts while it works, as plain numbers.

The hot path adds to integers and does nothing else; `metrics` turns them into Prometheus' form at a scrape.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import msgspec

from ferryman.cause import Cause
from ferryman.protocol import Fetched
from ferryman.round_trips import TRIP_BOUNDS_S

#: Upper bounds in seconds: from a no-op to a task of ten minutes.
SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_MILLISECONDS: Final = tuple(round(1_000 * bound) for bound in SECONDS)
#: Upper bounds in tasks.
BATCH: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0)


class Histogram:
    """Counts per bucket (the last one is what lies above all bounds) and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Adds one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class TaskCounters:
    """What became of the tasks of one name."""

    __slots__ = ("cancelled", "completed", "crashed", "dead", "parked", "requeued", "retried", "run_seconds")

    def __init__(self) -> None:
        self.completed = 0
        self.retried = 0
        self.dead = 0
        self.requeued = 0
        self.parked = 0
        self.crashed = 0
        self.cancelled = 0
        self.run_seconds = Histogram(SECONDS)

    def ran_well(self, run_s: float) -> None:
        """A run that ended with `completed`, in one call, for it is by far the most frequent."""
        self.completed += 1
        runs = self.run_seconds
        runs.counts[bisect_left(SECONDS, run_s)] += 1
        runs.total += run_s


class Recovered:
    """Tasks that went back to waiting, and those that went to dead, by what they were recovered for."""

    __slots__ = ("to_dead", "to_waiting")

    def __init__(self) -> None:
        self.to_waiting = dict.fromkeys(Cause, 0)
        self.to_dead = dict.fromkeys(Cause, 0)

    def count(self, cause: Cause, waiting: int, dead: int) -> None:
        """Adds some."""
        self.to_waiting[cause] += waiting
        self.to_dead[cause] += dead


class Counters(msgspec.Struct):
    """Everything one worker process counts."""

    queue: str
    tasks: dict[str, TaskCounters] = msgspec.field(default_factory=dict)
    wait_seconds: Histogram = msgspec.field(default_factory=lambda: Histogram(SECONDS))
    fetch_batch: Histogram = msgspec.field(default_factory=lambda: Histogram(BATCH))
    flush_batch: Histogram = msgspec.field(default_factory=lambda: Histogram(BATCH))
    trip_seconds: Histogram = msgspec.field(default_factory=lambda: Histogram(TRIP_BOUNDS_S))
    recovered: Recovered = msgspec.field(default_factory=Recovered)
    stale_outcomes: int = 0
    broker_errors: int = 0
    _unnamed: frozenset[str] = frozenset()

    def fetched(self, fetched: Fetched) -> None:
        """One fetch brought tasks."""
        self.fetch_batch.observe(len(fetched.tasks))
        now_ms, counts, total_ms = fetched.now_ms, self.wait_seconds.counts, 0
        for delivery in fetched.tasks:
            waited_ms = now_ms - delivery.waiting_since_ms
            if waited_ms < 0:  # Redis' clock has jumped; a sum must not fall
                waited_ms = 0
            counts[bisect_left(_MILLISECONDS, waited_ms)] += 1
            total_ms += waited_ms
        self.wait_seconds.total += total_ms / 1_000

    def of(self, task: str) -> TaskCounters:
        """The counters of one task name. Names that no handler knows share one, or a producer's typing errors
        would fill Prometheus; so do handlers beyond the first NAMES_AT_MOST."""
        counters = self.tasks.get(task)
        if counters is None:
            counters = self.tasks[OTHER if task in self._unnamed else UNKNOWN]
        return counters

    def know(self, *names: str) -> None:
        """Starts counters for the names that have handlers, and for those that have none."""
        named = sorted(names)
        self._unnamed |= frozenset(named[NAMES_AT_MOST:])
        for name in (*named[:NAMES_AT_MOST], UNKNOWN, *((OTHER,) if self._unnamed else ())):
            self.tasks.setdefault(name, TaskCounters())


#: Each task name costs some 25 series for every worker; an application that makes handlers in a loop has thousands.
NAMES_AT_MOST: Final = 100
#: The label of tasks whose name no handler knows.
UNKNOWN: Final = "(unknown)"
#: The label that the tasks share whose handlers got no label of their own.
OTHER: Final = "(other)"
