"""Builds a queue's PodDisruptionBudget. Pure."""

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
