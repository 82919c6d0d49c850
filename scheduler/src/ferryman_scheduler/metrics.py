"""Metrics of the scheduler."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from ferryman.cause import DEATHS, Cause
from ferryman.round_trips import TRIP_BOUNDS_S

_PASS_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

#: More queues than this share one label value, which is no queue's name. A scheduler that was given none looks after
#: whatever producers have named.
QUEUES_AT_MOST: Final = 1000
OTHER: Final = "(other)"


class Metrics:
    """A tally and a watch that Prometheus can read. A queue's series exist, at 0, from its first visit on."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, and nobody asks for them
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._promoted = Counter(
            "ferryman_promoted_total", "Tasks moved from delayed to waiting.", ["queue"], registry=self._registry
        )
        self._recovered = Counter(
            "ferryman_recovered_total",
            "Tasks taken back from dead workers, from fetches whose reply was lost, and from lost hand-overs.",
            ["queue", "to", "cause"],
            registry=self._registry,
        )
        self._trimmed = Counter(
            "ferryman_trimmed_total",
            "Kept statuses forgotten and dead tasks discarded after their retention.",
            ["queue", "state"],
            registry=self._registry,
        )
        self._queues: set[str] = set()
        self._lag = Gauge(
            "ferryman_promotion_lag_seconds",
            "How late the latest task was that the last visit promoted; 0 when none was due.",
            ["queue"],
            registry=self._registry,
        )
        self._round_trips = Histogram(
            "ferryman_redis_round_trip_seconds",
            "From a question to Redis to its answer.",
            ["component"],
            buckets=TRIP_BOUNDS_S,
            registry=self._registry,
        ).labels("scheduler")
        self._pass_seconds = Histogram(
            "ferryman_scheduler_pass_seconds",
            "Time of one round over the queues whose turn it was.",
            ["loop"],
            buckets=_PASS_BUCKETS_S,
            registry=self._registry,
        )
        self._last_pass = Gauge(
            "ferryman_scheduler_last_pass_timestamp_seconds",
            "When a round last ended in which Redis answered.",
            ["loop"],
            registry=self._registry,
        )

    def promoted(self, queue: str, count: int, lag_ms: int) -> None:
        """A visit of the promoter."""
        queue = self._label(queue)
        self._promoted.labels(queue).inc(count)
        self._lag.labels(queue).set(lag_ms / 1000)

    def recovered(self, queue: str, waiting: int, dead: int, cause: Cause) -> None:
        """A dead worker's tasks."""
        queue = self._label(queue)
        self._recovered.labels(queue, "waiting", cause).inc(waiting)
        self._recovered.labels(queue, "dead", cause).inc(dead)

    def handed_back(self, queue: str, count: int) -> None:
        """A look at handed."""
        self._recovered.labels(self._label(queue), "waiting", Cause.HANDED).inc(count)

    def round_trip(self, seconds: float) -> None:
        """Redis has answered."""
        self._round_trips.observe(seconds)

    def trimmed(self, queue: str, completed: int, dead: int) -> None:
        """A visit of the janitor."""
        queue = self._label(queue)
        self._trimmed.labels(queue, "completed").inc(completed)
        self._trimmed.labels(queue, "dead").inc(dead)

    def passed(self, loop: str, duration_s: float) -> None:
        """A round in which Redis answered."""
        self._pass_seconds.labels(loop).observe(duration_s)
        self._last_pass.labels(loop).set(time.time())

    def _label(self, queue: str) -> str:
        """The queue's value of the label; what is seldom counted exists from the first visit on."""
        if queue in self._queues:
            return queue
        label = queue if len(self._queues) < QUEUES_AT_MOST else OTHER
        if label not in self._queues:
            self._queues.add(label)
            for cause in DEATHS:
                for place in ("waiting", "dead"):
                    self._recovered.labels(label, place, cause).inc(0)
        return label

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
