"""Builds the worker Deployment of a TaskQueue. Pure.

Whatever is in the pod template restarts all workers when it changes. So it holds only what makes a worker another
worker: image, app, resources. Policy (retries, timeouts, hold) reaches workers through Redis instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ferryman_operator import names, pod_template
from ferryman_operator.overlay import merged
from ferryman_operator.pods import WORKER_CONTAINER
from ferryman_operator.spec import TaskQueueSpec

#: Termination grace periods to choose from, in seconds: few, so that a slightly longer task timeout rolls nothing.
GRACE_BUCKETS_S: Final = (30, 60, 120, 300, 600, 1800, 3600)

#: What a worker needs after its own deadline to stop its code, requeue what it holds, and exit.
EXIT_S: Final = 5

PORT: Final = 8080


def worker_deployment(spec: TaskQueueSpec, replicas: int) -> dict[str, Any]:
    """The Deployment with `replicas` workers. The number is always sent: left out, an apply would reset it."""
    labels = names.labels("worker", spec.name, spec.queue)
    template: dict[str, Any] = {
        "metadata": {"labels": labels, "annotations": {"kubectl.kubernetes.io/default-container": WORKER_CONTAINER}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": pod_template.pod_security(),
            "terminationGracePeriodSeconds": grace_s(spec.worker.task_timeout_s),
            "containers": [_container(spec)],
            "volumes": pod_template.volumes(spec.redis),
        },
    }
    template = merged(template, spec.worker.template)
    # The selector's labels are the operator's: without them the pods would belong to nobody.
    template["metadata"] = merged(template["metadata"], {"labels": labels})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(spec, names.worker_deployment(spec.name), "worker"),
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": names.selector_labels("worker", spec.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "template": template,
        },
    }


def grace_s(task_timeout_s: float | None) -> int:
    """How long a worker may take to finish after SIGTERM, so that a task within its timeout is not interrupted.

    Without a timeout, or with one over an hour, no grace is long enough: what still runs is requeued.
    """
    needed = 0 if task_timeout_s is None else task_timeout_s + 2 * EXIT_S
    return next((bucket for bucket in GRACE_BUCKETS_S if bucket >= needed), GRACE_BUCKETS_S[-1])


def _grace_s(spec: TaskQueueSpec) -> int:
    """The grace that the pod will have: the template has the last word."""
    pod = spec.worker.template.get("spec")
    own = pod.get("terminationGracePeriodSeconds") if isinstance(pod, Mapping) else None
    return own if isinstance(own, int) else grace_s(spec.worker.task_timeout_s)


def _container(spec: TaskQueueSpec) -> dict[str, Any]:
    return {
        "name": WORKER_CONTAINER,
        "image": spec.worker.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["worker", spec.queue, "--app", spec.worker.app],
        "env": _env(spec),
        **({"envFrom": list(spec.worker.env_from)} if spec.worker.env_from else {}),
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": dict(spec.worker.resources),
        "securityContext": pod_template.container_security(),
        "startupProbe": pod_template.probe("/livez", period_s=1, failures=120),
        "readinessProbe": pod_template.probe("/readyz", period_s=1, failures=1),
        # A hung worker is killed soon, not after the grace that is meant for tasks.
        "livenessProbe": pod_template.probe("/livez", period_s=10, failures=3, terminationGracePeriodSeconds=10),
        "volumeMounts": pod_template.mounts(spec.redis),
    }


def _env(spec: TaskQueueSpec) -> list[dict[str, Any]]:
    own = [
        *pod_template.redis_env(spec.redis),
        {"name": "FERRYMAN_CONCURRENCY", "value": str(spec.worker.concurrency)},
        {"name": "FERRYMAN_SHUTDOWN_GRACE", "value": f"{max(0, _grace_s(spec) - EXIT_S)}s"},
        {"name": "FERRYMAN_PORT", "value": str(PORT)},
        {"name": "FERRYMAN_POD_UID", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.uid"}}},
        {"name": "FERRYMAN_POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        {"name": "FERRYMAN_CONTAINER", "value": WORKER_CONTAINER},
        {"name": "FERRYMAN_LOG_FORMAT", "value": "json"},
    ]
    env: list[dict[str, Any]] = merged({"env": own}, {"env": spec.worker.env})["env"]
    return env
