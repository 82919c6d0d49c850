"""Metrics of the operator; it is the only exporter of figures that concern a whole queue.

Queue figures are read from the last measurement when Prometheus scrapes. A queue that could not be measured has no
figures rather than old ones; `ferryman_queue_broker_reachable` says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ferryman.metrics import process_registry, round_trips
from ferryman_operator import names
from ferryman_operator.backlog import Reading
from ferryman_operator.spec import TaskQueueSpec
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

_LABELS: Final = ["queue_namespace", "queue"]

#: Values of the label `state`. Parked tasks are delayed ones, counted once more.
STATES: Final = ("waiting", "delayed", "blocked", "active", "dead", "parked")
#: Values of the label `event`; each is a counter in Redis.
EVENTS: Final = (
    "enqueued",
    "completed",
    "failed",
    "retried",
    "recovered",
    "discarded",
    "dead_by_crash",
    "cancelled",
    "expired",
)


class Metrics:
    """All metrics of this process."""

    def __init__(self, tracked: Mapping[str, Tracked], world: World) -> None:
        self._registry = process_registry()
        self._registry.register(_Queues(tracked, world))
        self._decisions = Counter(
            "ferryman_operator_decisions_total",
            "Decisions on the number of workers, one per pass.",
            [*_LABELS, "reason"],
            registry=self._registry,
        )
        self._pass_seconds = Histogram(
            "ferryman_operator_pass_seconds",
            "Time of one pass over the queues of one Redis.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=self._registry,
        )
        #: Is told of each round trip.
        self.round_trip = round_trips(self._registry, "operator")
        self._last_pass = Gauge(
            "ferryman_operator_last_pass_timestamp_seconds", "When a pass last ended.", registry=self._registry
        )
        self._leading = Gauge(
            "ferryman_operator_leading",
            "1 while this operator holds the lease and may write, 0 while it stands by.",
            registry=self._registry,
        )

    def observe_pass(self, duration_s: float) -> None:
        """A pass has ended."""
        self._pass_seconds.observe(duration_s)

    def leads(self, leads: bool) -> None:
        """Whether this operator may write anywhere."""
        self._leading.set(leads)

    def finished(self) -> None:
        """The loop is alive."""
        self._last_pass.set(time.time())

    def count_decision(self, tracked: Tracked) -> None:
        """A pass has decided on a queue."""
        if tracked.spec and tracked.decision:
            self._decisions.labels(tracked.namespace, tracked.spec.queue, tracked.decision.reason.value).inc()

    def forget(self, tracked: Tracked) -> None:
        """A TaskQueue is gone."""
        if tracked.spec:
            labels = {"queue_namespace": tracked.namespace, "queue": tracked.spec.queue}
            self._decisions.remove_by_labels(labels)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format. Of 1,000 queues 0.3 s of work, so it may be called in a thread."""
        return generate_latest(self._registry)


class _Queues(Collector):
    """Figures of queues, made at the time of the scrape."""

    def __init__(self, tracked: Mapping[str, Tracked], world: World) -> None:
        self._tracked = tracked
        self._world = world

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("ferryman_queue_tasks", "Tasks of the queue by state.", labels=[*_LABELS, "state"])
        events = CounterMetricFamily(
            "ferryman_queue_events", "What happened to tasks of the queue, ever.", labels=[*_LABELS, "event"]
        )
        interrupted = CounterMetricFamily(
            "ferryman_scale_down_interrupted",
            "Tasks that began anew because they outlived the grace of a worker that scaling down or a rollout took.",
            labels=_LABELS,
        )
        figures = [(GaugeMetricFamily(name, text, labels=_LABELS), read) for name, text, read in _FIGURES]
        for tracked in list(self._tracked.values()):
            if tracked.spec is None or not tracked.is_ours:
                continue
            labels = [tracked.namespace, tracked.spec.queue]
            interrupted.add_metric(labels, tracked.interrupted)
            if isinstance(reading := tracked.reading, Reading):  # once: the loop goes on meanwhile
                for state in STATES:
                    tasks.add_metric([*labels, state], getattr(reading.stats, state))
                for event in EVENTS:
                    events.add_metric([*labels, event], getattr(reading.stats, event))
            for family, read in figures:
                value = read(tracked, tracked.spec, self._world)
                if value is not None:
                    family.add_metric(labels, float(value))
        yield from (tasks, events, interrupted, *(family for family, _ in figures))


#: Reads one figure of a queue; None when it is not known now, and then it is not exported.
_Read = Callable[[Tracked, TaskQueueSpec, World], float | None]


def _stat(name: str) -> _Read:
    def read(tracked: Tracked, spec: TaskQueueSpec, world: World) -> float | None:
        return getattr(reading.stats, name) if isinstance(reading := tracked.reading, Reading) else None

    return read


def _redis(name: str) -> _Read:
    return lambda tracked, spec, world: getattr(tracked.durability, name, None)


def _ready(tracked: Tracked, deployment: str, world: World) -> int:
    found = world.get(Kind.DEPLOYMENT, tracked.namespace, deployment) or {}
    return int((found.get("status") or {}).get("readyReplicas") or 0)


_FIGURES: Final[Sequence[tuple[str, str, _Read]]] = (
    (
        "ferryman_queue_oldest_waiting_seconds",
        "How long the oldest waiting task has waited.",
        _stat("oldest_waiting_s"),
    ),
    (
        "ferryman_queue_target_latency_seconds",
        "How long a task may wait, as the TaskQueue's spec.scaling.targetLatency says.",
        lambda tracked, spec, world: spec.scaling.target_latency_s,
    ),
    (
        "ferryman_queue_unaccounted",
        "Tasks that are in no state; must be 0. Absent where more than 1,000 workers are registered: not counted then.",
        _stat("unaccounted"),
    ),
    (
        "ferryman_queue_hold",
        "1 while the queue gives out no tasks because a person or its stopPolicy says so, else 0.",
        _stat("hold"),
    ),
    (
        "ferryman_queue_lanes_blocked",
        "Lanes of the queue in which tasks stand because of a limit.",
        _stat("lanes_held_back"),
    ),
    (
        "ferryman_queue_workers",
        "Workers that are registered and beat.",
        _stat("workers"),
    ),
    (
        "ferryman_queue_scheduler_ready",
        "Ready scheduler pods of the queue; without one nothing is promoted, and only the CronJob recovers.",
        lambda tracked, spec, world: _ready(tracked, names.scheduler_deployment(spec.redis), world),
    ),
    (
        "ferryman_queue_broker_reachable",
        "1 when the queue's Redis answered the last time, else 0.",
        lambda tracked, spec, world: float(isinstance(tracked.reading, Reading)),
    ),
    (
        "ferryman_queue_redis_durable",
        "1 when Redis says that it keeps tasks, 0 when it may lose some.",
        _redis("durable"),
    ),
    (
        "ferryman_queue_redis_memory_used_bytes",
        "Memory that the queue's Redis uses, for all that lies in it.",
        _redis("memory_used_bytes"),
    ),
    (
        "ferryman_queue_redis_memory_max_bytes",
        "The maxmemory of the queue's Redis; 0 when it has none.",
        _redis("memory_max_bytes"),
    ),
    (
        "ferryman_workers_wanted",
        "Workers that the operator wants.",
        lambda tracked, spec, world: getattr(tracked.decision, "wanted", None),
    ),
    (
        "ferryman_workers_ready",
        "Workers whose pods are ready.",
        lambda tracked, spec, world: _ready(tracked, names.worker_deployment(tracked.name), world),
    ),
    (
        "ferryman_workers_max",
        "The most workers that the operator may want, as the TaskQueue's spec.scaling.maxReplicas says.",
        lambda tracked, spec, world: spec.scaling.max_replicas,
    ),
)
