"""Builds the recovery CronJob: the last layer of recovery, for when scheduler and operator are both down. Pure.

One run costs the API server dozens of writes. So each queue has a CronJob, from which a Job can be made by hand,
but of a group that shares a Redis only one runs on schedule, and it looks after all queues of the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ferryman_operator import names, pod_template
from ferryman_operator.spec import TaskQueueSpec

#: A run that takes longer than this would meet the next one.
DEADLINE_S: Final = 50

_RESOURCES: Final = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


def recovery_cronjob(
    spec: TaskQueueSpec,
    queues: Sequence[str],
    image: str,
    pull_policy: str,
    suspended: bool,
    pull_secrets: Sequence[str] = (),
) -> dict[str, Any]:
    """The CronJob of `spec`, which passes over `queues`: its own, or those of the whole group."""
    labels = names.labels("recovery", spec.name, spec.queue)
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": pod_template.pod_security(),
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "containers": [
            {
                "name": "recover",
                "image": image,
                "imagePullPolicy": pull_policy,
                "args": ["recover", *sorted(set(queues))],
                "env": [*pod_template.redis_env(spec.redis), {"name": "FERRYMAN_LOG_FORMAT", "value": "json"}],
                "resources": _RESOURCES,
                "securityContext": pod_template.container_security(),
                "volumeMounts": pod_template.mounts(spec.redis),
            }
        ],
        "volumes": pod_template.volumes(spec.redis),
        **pod_template.pull_secrets(pull_secrets),
    }
    job: Mapping[str, Any] = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": DEADLINE_S,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": names.metadata(spec, names.recovery_cronjob(spec.name), "recovery"),
        "spec": {
            "schedule": spec.recovery_schedule,
            "suspend": suspended,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": DEADLINE_S,
            "successfulJobsHistoryLimit": 0,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
        },
    }
