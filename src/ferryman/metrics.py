"""What the metrics of several programs have in common: their process, its round trips to Redis, and names of queues.

Whoever imports this needs prometheus-client, which the library itself does without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from ferryman.round_trips import TRIP_BOUNDS_S, WatchTrips

#: More queue names than this share a label value that is no queue's name: whoever invents names must not fill
#: Prometheus.
QUEUES_AT_MOST: Final = 1000
OTHER: Final = "(other)"


def process_registry(*, with_python: bool = True) -> CollectorRegistry:
    """A registry with the figures of this process, and of its Python.

    No counter of the whole process has a series `_created` from here on: not for workers, where users have counters.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, and nobody asks for them
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    if with_python:
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
    return registry


def round_trips(registry: CollectorRegistry, component: str) -> WatchTrips:
    """Registers the histogram of round trips; returns what a link is to tell them to."""
    return (
        Histogram(
            "ferryman_redis_round_trip_seconds",
            "From a question to Redis to its answer.",
            ["component"],
            buckets=TRIP_BOUNDS_S,
            registry=registry,
        )
        .labels(component)
        .observe
    )


class QueueLabels:
    """Values of the label `queue`, where clients choose the names. `begin` hears of each one when it is new."""

    def __init__(self, begin: Callable[[str], object] = lambda label: None) -> None:
        self._labels: set[str] = set()
        self._begin = begin

    def of(self, queue: str) -> str:
        """The queue's own name, or `OTHER`."""
        if queue in self._labels:
            return queue
        label = queue if len(self._labels) < QUEUES_AT_MOST else OTHER
        if label not in self._labels:
            self._labels.add(label)
            self._begin(label)
        return label
