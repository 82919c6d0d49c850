"""Names, labels and owners of the objects that the operator makes for a TaskQueue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ferryman_operator.spec import RedisRef, TaskQueueSpec

API_VERSION: Final = "ferryman.dev/v1alpha1"
KIND: Final = "TaskQueue"

#: The field manager of every write, and the value of `app.kubernetes.io/managed-by`.
MANAGER: Final = "ferryman-operator"

#: Label that tells a queue's objects; its value is the queue's name in Redis.
QUEUE_LABEL: Final = "ferryman.dev/queue"

#: Selects everything that the operator has made, and its workers' pods.
MANAGED_SELECTOR: Final = f"app.kubernetes.io/managed-by={MANAGER}"
WORKER_SELECTOR: Final = f"{MANAGED_SELECTOR},app.kubernetes.io/component=worker"


def worker_deployment(name: str) -> str:
    """Name of the worker Deployment of the TaskQueue `name`."""
    return f"{name}-worker"


def recovery_cronjob(name: str) -> str:
    """Name of the recovery CronJob of the TaskQueue `name`."""
    return f"{name}-recovery"


def scheduler_deployment(redis: RedisRef) -> str:
    """Name of the scheduler that all TaskQueues of a namespace with this Redis share.

    It follows the Secret's name and key, not the URL in it, so that a new password makes no new scheduler.
    """
    source = redis.url if redis.secret is None else f"{redis.secret}/{redis.key}"
    return "ferryman-scheduler-" + hashlib.sha256(str(source).encode()).hexdigest()[:8]


def selector_labels(component: str, instance: str) -> dict[str, str]:
    """The labels by which a Deployment finds its pods. They can never change for a living Deployment."""
    return {
        "app.kubernetes.io/name": "ferryman",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": instance,
    }


def labels(component: str, instance: str, queue: str | None = None) -> dict[str, str]:
    """All labels of an object: the selector's, who manages it, and the queue if it is of one queue alone."""
    own = {QUEUE_LABEL: queue} if queue else {}
    return {
        **selector_labels(component, instance),
        "app.kubernetes.io/managed-by": MANAGER,
        "app.kubernetes.io/part-of": "ferryman",
        **own,
    }


def worker_selector(name: str) -> str:
    """The worker pods of the TaskQueue `name` as a label selector, for the scale subresource."""
    return ",".join(f"{key}={value}" for key, value in selector_labels("worker", name).items())


def metadata(spec: TaskQueueSpec, name: str, component: str) -> dict[str, Any]:
    """Metadata of an object that belongs to one TaskQueue and goes when it goes."""
    return {
        "name": name,
        "namespace": spec.namespace,
        "labels": labels(component, spec.name, spec.queue),
        "ownerReferences": [_owner(spec, controller=True)],
    }


def shared_owners(specs: Sequence[TaskQueueSpec]) -> list[dict[str, Any]]:
    """Owners of an object that several TaskQueues share: it goes with the last of them.

    None is its controller, because there may be only one; the order is fixed, so that equal sets are equal lists.
    """
    return [_owner(spec, controller=False) for spec in sorted(specs, key=lambda spec: spec.name)]


def is_of_taskqueue(body: Mapping[str, Any]) -> bool:
    """Whether an object was made for a TaskQueue, and for nobody else."""
    owners = body["metadata"].get("ownerReferences") or ()
    return bool(owners) and all((owner["apiVersion"], owner["kind"]) == (API_VERSION, KIND) for owner in owners)


def _owner(spec: TaskQueueSpec, *, controller: bool) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": spec.name,
        "uid": spec.uid,
        "controller": controller,
        "blockOwnerDeletion": False,  # needs no right to set finalizers on the owner
    }
