"""The series of a town: what each program exports for one queue, as its own registry says it, for every queue.

The programs' texts come from `ferryman_metrics`, in which each has counted everything once; a new metric is here by
itself. Only the names of queues, tasks and pods are put in their places. Of what a worker took over from dead ones only
the series are here that every worker has: one that has met every cause of death is no worker of a usual day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ferryman_metrics.exercise import NAMESPACE, QUEUE, TASK, texts, worker
from prometheus_client.parser import text_string_to_metric_families

from dashboard_cost.town import TASKS, Place, Town

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """One series. `share` is what part of a histogram's observations its bucket has, 1 for all else."""

    name: str
    labels: Labels
    is_counter: bool
    share: float

    @property
    def key(self) -> str:
        """As it stands in a text."""
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.name}{{{labels}}}"


def series(town: Town) -> Iterator[Series]:
    """Every series that Prometheus has of the town after it has scraped all pods."""
    shown = {component: list(_read(text)) for component, text in {**texts(), "worker": worker(deaths=())}.items()}
    for one in shown["operator"]:
        for place in town.places if QUEUE in one.labels.values() else town.places[:1]:
            yield from _placed(one, place, "ferryman-system", "ferryman-operator-0")
    for one in shown["API"]:
        for place in town.places if QUEUE in one.labels.values() else town.places[:1]:
            for pod in ("ferryman-api-0", "ferryman-api-1"):
                yield from _placed(one, place, "ferryman-system", pod)
    schedulers = {place.namespace: place for place in town.places}
    for one in shown["scheduler"]:
        for place in town.places if QUEUE in one.labels.values() else schedulers.values():
            yield from _placed(one, place, place.namespace, f"ferryman-scheduler-{place.namespace}")
    for one in shown["worker"]:
        for place in town.places:
            for number in range(place.workers):
                yield from _placed(one, place, place.namespace, f"{place.queue}-worker-{number}")


def _read(text: str) -> Iterator[Series]:
    for family in text_string_to_metric_families(text):
        bounds = sorted({float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels})
        for sample in family.samples:
            below = bounds.index(float(sample.labels["le"])) + 1 if "le" in sample.labels else len(bounds)
            is_counter = family.type in ("counter", "histogram")
            yield Series(sample.name, sample.labels, is_counter, below / len(bounds) if bounds else 1.0)


def _placed(one: Series, place: Place, namespace: str, pod: str) -> Iterator[Series]:
    """The series of that pod; several where each task has its own."""
    names = {QUEUE: place.queue, NAMESPACE: place.namespace}
    target = {"namespace": namespace, "pod": pod, "instance": pod, "job": "ferryman"}
    for task in TASKS if TASK in one.labels.values() else TASKS[:1]:
        values = {label: {**names, TASK: task}.get(value, value) for label, value in one.labels.items()}
        yield Series(one.name, {**target, **values}, one.is_counter, one.share)
