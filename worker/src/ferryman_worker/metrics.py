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

from ferryman.cause import Cause
from ferryman_worker.counters import Histogram, Recovered, TaskCounters
from ferryman_worker.figures import Figures

_OUTCOMES = ("completed", "retried", "dead", "requeued", "parked", "crashed", "cancelled")
#: What every worker has from its first scrape on; other causes follow when there is something to count.
_RECOVERED_AT_ALL = (("waiting", Cause.RESTARTED), ("dead", Cause.RESTARTED), ("waiting", Cause.LOST_FETCH))


class WorkerCollector(Collector):
    """Reads the figures of one worker. `in_progress` is asked for at each scrape."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._counters = figures.counters
        self.in_progress = 0
        self.is_first = True

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
        errors = self._counters.broker_errors + self._figures.board.beat_errors
        yield _counter("ferryman_broker_errors", "Calls that Redis did not answer, or refused.", queue, errors)
        yield self._recovered()
        yield self._round_trips()
        yield from self._usage()

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

    def _recovered(self) -> Metric:
        """A worker takes over from its predecessor before anybody has scraped it, and a counter that begins above 0
        shows no increase. So all begin at 0, and the next scrape tells."""
        family = CounterMetricFamily(
            "ferryman_recovered",
            "Tasks taken back from dead workers, from fetches whose reply was lost, and from lost hand-overs.",
            labels=("queue", "to", "cause"),
        )
        found = dict.fromkeys(_RECOVERED_AT_ALL, 0)
        for recovered in (self._counters.recovered, self._figures.ledger.recovered()):
            for place, cause, count in _moved(recovered):
                found[place, cause] = found.get((place, cause), 0) + count
        for (place, cause), count in found.items():
            family.add_metric((self._counters.queue, place, cause), 0 if self.is_first else count)
        return family

    def _round_trips(self) -> Metric:
        family = HistogramMetricFamily(
            "ferryman_redis_round_trip_seconds",
            "From a question to Redis to its answer.",
            labels=("queue", "component"),
        )
        trips = {"worker": self._counters.trip_seconds, "beat": self._figures.ledger.trip_seconds()}
        for component, histogram in trips.items():
            buckets, total = _buckets(histogram)
            family.add_metric((self._counters.queue, component), buckets, total)
        return family

    def _usage(self) -> Iterator[Metric]:
        labels = ("queue", "process")
        cpu = CounterMetricFamily("ferryman_worker_cpu_seconds", "Processor time of the worker.", labels=labels)
        memory = GaugeMetricFamily(
            "ferryman_worker_resident_memory_bytes",
            "Resident memory of the worker; pages that processes share count in each.",
            labels=labels,
        )
        for process, used in self._figures.processes.usage().items():
            cpu.add_metric((self._counters.queue, process), used.cpu_s)
            memory.add_metric((self._counters.queue, process), used.resident_bytes)
        yield from (cpu, memory)

    def _used(self) -> Iterator[tuple[str, TaskCounters]]:
        return iter(sorted(self._counters.tasks.items()))


class Exposition:
    """The text of /metrics."""

    def __init__(self, figures: Figures) -> None:
        self._collector = WorkerCollector(figures)
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self._collector)

    def render(self, in_progress: int) -> bytes:
        """All families as text."""
        self._collector.in_progress = in_progress
        text = generate_latest(self._registry)
        self._collector.is_first = False
        return text


def _moved(recovered: Recovered) -> Iterator[tuple[str, Cause, int]]:
    for place, counts in (("waiting", recovered.to_waiting), ("dead", recovered.to_dead)):
        yield from ((place, cause, count) for cause, count in counts.items() if count)


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
