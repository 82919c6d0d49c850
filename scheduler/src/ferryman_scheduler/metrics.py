"""Metrics of the scheduler."""

from __future__ import annotations

import time

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from ferryman.cause import DEATHS, Cause
from ferryman.metrics import QueueLabels, process_registry, round_trips

_PASS_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """A tally and a watch that Prometheus can read. A queue's series exist, at 0, from its first visit on."""

    def __init__(self) -> None:
        self._registry = process_registry()
        # A scheduler that was given no queues looks after whatever producers have named.
        self._queues = QueueLabels(self._begin)
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
        self._lag = Gauge(
            "ferryman_promotion_lag_seconds",
            "How late the latest task was that the last visit promoted; 0 when none was due.",
            ["queue"],
            registry=self._registry,
        )
        self._fired = Counter(
            "ferryman_schedule_fired_total",
            "Occurrences of schedules for which a task was enqueued.",
            ["queue"],
            registry=self._registry,
        )
        self._missed = Counter(
            "ferryman_schedule_missed_total",
            "Occurrences of schedules for which none was: nobody fired them in time, or the task before had not ended.",
            ["queue", "why"],
            registry=self._registry,
        )
        self._fire_lag = Gauge(
            "ferryman_schedule_lag_seconds",
            "How late the latest occurrence was when its task was enqueued.",
            ["queue"],
            registry=self._registry,
        )
        #: Is told of each round trip.
        self.round_trip = round_trips(self._registry, "scheduler")
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
        queue = self._queues.of(queue)
        self._promoted.labels(queue).inc(count)
        self._lag.labels(queue).set(lag_ms / 1000)

    def recovered(self, queue: str, waiting: int, dead: int, cause: Cause) -> None:
        """A dead worker's tasks."""
        queue = self._queues.of(queue)
        self._recovered.labels(queue, "waiting", cause).inc(waiting)
        self._recovered.labels(queue, "dead", cause).inc(dead)

    def handed_back(self, queue: str, count: int) -> None:
        """A look at handed."""
        self._recovered.labels(self._queues.of(queue), "waiting", Cause.HANDED).inc(count)

    def fired(self, queue: str, lag_ms: int) -> None:
        """An occurrence was fired."""
        queue = self._queues.of(queue)
        self._fired.labels(queue).inc()
        self._fire_lag.labels(queue).set(lag_ms / 1000)

    def missed(self, queue: str, count: int, why: str) -> None:
        """Occurrences were not."""
        self._missed.labels(self._queues.of(queue), why).inc(count)

    def trimmed(self, queue: str, completed: int, dead: int) -> None:
        """A visit of the janitor."""
        queue = self._queues.of(queue)
        self._trimmed.labels(queue, "completed").inc(completed)
        self._trimmed.labels(queue, "dead").inc(dead)

    def passed(self, loop: str, duration_s: float) -> None:
        """A round in which Redis answered."""
        self._pass_seconds.labels(loop).observe(duration_s)
        self._last_pass.labels(loop).set(time.time())

    def _begin(self, label: str) -> None:
        """What is seldom counted exists from the first visit on."""
        self._fired.labels(label).inc(0)
        for why in ("late", "overlap"):
            self._missed.labels(label, why).inc(0)
        for cause in DEATHS:
            for place in ("waiting", "dead"):
                self._recovered.labels(label, place, cause).inc(0)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
