"""Builds a queue's PodDisruptionBudget and, where Prometheus' operator is installed, its PodMonitor. Pure."""

from __future__ import annotations

from typing import Any

from ferryman_operator import names
from ferryman_operator.spec import TaskQueueSpec


def disruption_budget(spec: TaskQueueSpec) -> dict[str, Any]:
    """A node drain takes a quarter of the workers at a time; drained (NotReady) ones may always go."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(spec, names.worker_deployment(spec.name), "worker"),
        "spec": {
            "maxUnavailable": "25%",
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector_labels("worker", spec.name)},
        },
    }


def pod_monitor(spec: TaskQueueSpec) -> dict[str, Any]:
    """Lets Prometheus' operator scrape the workers."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": names.metadata(spec, names.worker_deployment(spec.name), "worker"),
        "spec": {
            "selector": {"matchLabels": names.selector_labels("worker", spec.name)},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
        },
    }
