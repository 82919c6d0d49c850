"""Builds the PodMonitors by which Prometheus' operator finds workers and schedulers. Pure.

The labels of what is scraped and those that Prometheus adds (`namespace`, `pod`, `container`, `job`, …) differ in all
names, so nothing asks for `honorLabels`: whoever runs in a pod can't speak for another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferryman_operator import names
from ferryman_operator.spec import TaskQueueSpec


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """`interval` is the time between scrapes, as Prometheus writes durations; by `labels` a Prometheus selects."""

    enabled: bool = True
    interval: str = "15s"
    labels: Mapping[str, str] = field(default_factory=dict)


def worker_monitor(spec: TaskQueueSpec, settings: MonitorSettings) -> dict[str, Any]:
    """For the workers of one TaskQueue."""
    metadata = names.metadata(spec, names.worker_deployment(spec.name), "worker")
    return _monitor(metadata, names.selector_labels("worker", spec.name), settings)


def scheduler_monitor(group: Sequence[TaskQueueSpec], settings: MonitorSettings) -> dict[str, Any]:
    """For the scheduler of a group of TaskQueues with the same namespace and Redis; at least one."""
    name = names.scheduler_deployment(group[0].redis)
    metadata = {
        "name": name,
        "namespace": group[0].namespace,
        "labels": names.labels("scheduler", name),
        "ownerReferences": names.shared_owners(group),
    }
    return _monitor(metadata, names.selector_labels("scheduler", name), settings)


def _monitor(metadata: Mapping[str, Any], selector: Mapping[str, str], settings: MonitorSettings) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        # What finds the operator's own objects is not for others to change.
        "metadata": {**metadata, "labels": {**settings.labels, **metadata["labels"]}},
        "spec": {
            "selector": {"matchLabels": dict(selector)},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": settings.interval}],
        },
    }
