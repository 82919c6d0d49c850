"""Metrics of the operator; it is the only exporter of figures that concern a whole queue.

Queue figures are read from the last measurement when Prometheus scrapes. A queue that could not be measured has no
figures rather than old ones; `ferryman_queue_broker_reachable` says why.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ferryman_operator import names
from ferryman_operator.backlog import Reading
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

_LABELS = ["queue_namespace", "queue"]
_STATES = ("waiting", "delayed", "active", "dead", "parked")
_EVENTS = ("enqueued", "completed", "failed", "retried", "recovered", "discarded")


class Metrics:
    """All metrics of this process."""

    def __init__(self, tracked: Mapping[str, Tracked], world: World) -> None:
        self._registry = CollectorRegistry()
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
        self._last_pass = Gauge(
            "ferryman_operator_last_pass_timestamp_seconds", "When a pass last ended.", registry=self._registry
        )

    def observe_pass(self, duration_s: float) -> None:
        """A pass has ended."""
        self._pass_seconds.observe(duration_s)

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
        """All metrics in Prometheus' text format."""
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
        oldest = _gauge("ferryman_queue_oldest_waiting_seconds", "How long the oldest waiting task has waited.")
        unaccounted = _gauge("ferryman_queue_unaccounted", "Tasks that are in no state; must be 0.")
        workers = _gauge("ferryman_queue_workers", "Workers that are registered and beat.")
        reachable = _gauge("ferryman_queue_broker_reachable", "1 when the queue's Redis answered the last time.")
        durable = _gauge(
            "ferryman_queue_redis_durable", "1 when Redis says that it keeps tasks, 0 when it may lose some."
        )
        wanted = _gauge("ferryman_workers_wanted", "Workers that the operator wants.")
        ready = _gauge("ferryman_workers_ready", "Workers whose pods are ready.")
        for tracked in list(self._tracked.values()):
            if tracked.spec is None or not tracked.is_ours:
                continue
            labels = [tracked.namespace, tracked.spec.queue]
            reading = tracked.reading
            reachable.add_metric(labels, float(isinstance(reading, Reading)))
            if tracked.durability and tracked.durability.durable is not None:
                durable.add_metric(labels, float(tracked.durability.durable))
            if isinstance(reading, Reading):
                stats = reading.stats
                for state in _STATES:
                    tasks.add_metric([*labels, state], getattr(stats, state))
                for event in _EVENTS:
                    events.add_metric([*labels, event], getattr(stats, event))
                oldest.add_metric(labels, stats.oldest_waiting_s)
                unaccounted.add_metric(labels, stats.unaccounted)
                workers.add_metric(labels, stats.workers)
            if tracked.decision:
                wanted.add_metric(labels, tracked.decision.wanted)
            deployment = self._world.get(Kind.DEPLOYMENT, tracked.namespace, names.worker_deployment(tracked.name))
            ready.add_metric(labels, ((deployment or {}).get("status") or {}).get("readyReplicas", 0))
        yield from (tasks, events, oldest, unaccounted, workers, reachable, durable, wanted, ready)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=_LABELS)
