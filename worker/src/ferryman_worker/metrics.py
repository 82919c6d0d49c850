"""Metrics: the worker's counters in Prometheus' text form, built at a scrape and nowhere else.

The command imports this module when the first scrape comes: an unscraped worker does not carry the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ferryman_worker.counters import Counters, Histogram, TaskCounters

_OUTCOMES = ("completed", "retried", "dead", "requeued", "parked", "crashed")


class WorkerCollector(Collector):
    """Reads the counters of one worker. `in_progress` is asked for at each scrape."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.in_progress = 0
        self.beat_errors = 0

    def collect(self) -> Iterable[Metric]:
        """Every family, in the order of docs/metrics.md."""
        queue = self._counters.queue
        yield self._tasks()
        yield self._run_seconds()
        yield _histogram(
            "ferryman_task_wait_seconds", "From waiting to this worker.", queue, self._counters.wait_seconds
        )
        yield _gauge("ferryman_tasks_in_progress", "Tasks whose code runs now.", queue, self.in_progress)
        yield _histogram(
            "ferryman_fetch_batch_tasks", "Tasks that one fetch brought.", queue, self._counters.fetch_batch
        )
        yield _histogram("ferryman_flush_batch_tasks", "Outcomes sent in one go.", queue, self._counters.flush_batch)
        yield _counter(
            "ferryman_stale_outcomes", "Outcomes of tasks that had moved on.", queue, self._counters.stale_outcomes
        )
        errors = self._counters.broker_errors + self.beat_errors
        yield _counter("ferryman_broker_errors", "Calls that Redis did not answer, or refused.", queue, errors)

    def _tasks(self) -> Metric:
        family = CounterMetricFamily("ferryman_tasks", "What became of tasks.", labels=("queue", "task", "outcome"))
        for task, counters in self._used():
            for outcome in _OUTCOMES:
                family.add_metric((self._counters.queue, task, outcome), getattr(counters, outcome))
        return family

    def _run_seconds(self) -> Metric:
        family = HistogramMetricFamily("ferryman_task_run_seconds", "Run time of tasks.", labels=("queue", "task"))
        for task, counters in self._used():
            buckets, total = _buckets(counters.run_seconds)
            family.add_metric((self._counters.queue, task), buckets, total)
        return family

    def _used(self) -> Iterator[tuple[str, TaskCounters]]:
        return iter(sorted(self._counters.tasks.items()))


class Exposition:
    """The text of /metrics."""

    def __init__(self, counters: Counters) -> None:
        self._collector = WorkerCollector(counters)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self._collector)

    def render(self, in_progress: int, beat_errors: int) -> bytes:
        """All families as text."""
        self._collector.in_progress = in_progress
        self._collector.beat_errors = beat_errors
        return generate_latest(self._registry)


def _histogram(name: str, text: str, queue: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, text, labels=("queue",))
    buckets, total = _buckets(histogram)
    family.add_metric((queue,), buckets, total)
    return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Cumulative, as Prometheus wants them."""
    seen, buckets = 0, []
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), histogram.counts, strict=True):
        seen += count
        buckets.append((bound, float(seen)))
    return buckets, histogram.total


def _counter(name: str, text: str, queue: str, value: int) -> Metric:
    family = CounterMetricFamily(name, text, labels=("queue",))
    family.add_metric((queue,), value)
    return family


def _gauge(name: str, text: str, queue: str, value: int) -> Metric:
    family = GaugeMetricFamily(name, text, labels=("queue",))
    family.add_metric((queue,), value)
    return family
