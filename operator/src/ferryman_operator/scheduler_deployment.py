"""Builds the scheduler Deployment that the TaskQueues of one namespace with one Redis share. Pure.

It promotes, recovers and trims for all of them, also at zero workers. It belongs to all and goes with the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferryman_operator import names, pod_template
from ferryman_operator.spec import TaskQueueSpec

PORT = 8080


def scheduler_deployment(
    group: Sequence[TaskQueueSpec],
    image: str,
    resources: Mapping[str, Any],
    pull_policy: str,
    pull_secrets: Sequence[str] = (),
) -> dict[str, Any]:
    """The Deployment for a group of TaskQueues with the same namespace and Redis; at least one."""
    first = group[0]
    name = names.scheduler_deployment(first.redis)
    labels = names.labels("scheduler", name)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": first.namespace,
            "labels": labels,
            "ownerReferences": names.shared_owners(group),
        },
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": names.selector_labels("scheduler", name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": pod_template.pod_security(),
                    "terminationGracePeriodSeconds": 10,
                    "tolerations": pod_template.lost_node_tolerations(),
                    "containers": [_container(group, image, resources, pull_policy)],
                    "volumes": pod_template.volumes(first.redis),
                    **pod_template.pull_secrets(pull_secrets),
                },
            },
        },
    }


def _container(
    group: Sequence[TaskQueueSpec], image: str, resources: Mapping[str, Any], pull_policy: str
) -> dict[str, Any]:
    redis = group[0].redis
    queues = sorted({spec.queue for spec in group})
    return {
        "name": "scheduler",
        "image": image,
        "imagePullPolicy": pull_policy,
        "args": ["scheduler", *(word for queue in queues for word in ("--queue", queue))],
        "env": [
            *pod_template.redis_env(redis),
            {"name": "FERRYMAN_PORT", "value": str(PORT)},
            {"name": "FERRYMAN_LOG_FORMAT", "value": "json"},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": dict(resources),
        "securityContext": pod_template.container_security(),
        "startupProbe": pod_template.probe("/livez", period_s=1, failures=60),
        "readinessProbe": pod_template.probe("/readyz", period_s=5, failures=2),
        "livenessProbe": pod_template.probe("/livez", period_s=10, failures=3),
        "volumeMounts": pod_template.mounts(redis),
    }
