"""Schedules: a TaskSchedule fires at zero workers, each occurrence once with two schedulers; suspend, and delete."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from ferryman_e2e.scene_queue import REDIS_URL, Object, SceneQueue
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

EVERY_S = 5


def schedule(queue: SceneQueue, **spec: Any) -> Object:
    return {
        "apiVersion": "ferryman.dev/v1alpha1",
        "kind": "TaskSchedule",
        "metadata": {"name": "often"},
        "spec": {
            "queueRef": {"name": queue.name},
            "task": "work",
            "args": {"seconds": 0.01},
            "every": f"{EVERY_S}s",
            **spec,
        },
    }


def second_scheduler(queue: SceneQueue) -> Object:
    """Beside the operator's own: two of them fire the same schedules."""
    labels = {"app": "second-scheduler"}
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "scheduler",
        "image": "localhost/ferryman-scheduler:dev",
        "imagePullPolicy": "IfNotPresent",
        "args": ["scheduler", "--queue", queue.name],
        "env": [{"name": "FERRYMAN_REDIS_URL", "value": REDIS_URL}],
        "securityContext": security,
    }
    pod = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "second-scheduler"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@pytest.fixture
def two_schedulers(queue: SceneQueue) -> Iterator[None]:
    """The operator's own, once there is a TaskQueue, and another one."""
    queue.kubectl.apply(second_scheduler(queue))
    queue.kubectl.rollout("deployment/second-scheduler")
    yield
    queue.kubectl.run("delete", "deployment", "second-scheduler")


@pytest.mark.usefixtures("two_schedulers")
def test_a_schedule_fires_at_zero_workers_each_occurrence_once(queue: SceneQueue) -> None:
    queue.create(scaling={"minReplicas": 0, "maxReplicas": 2, "cooldown": "0s"})
    queue.wait_ready()
    assert queue.replicas() == 0
    queue.kubectl.apply(schedule(queue))

    def live() -> Object:
        return queue.kubectl.get("taskschedule", "often") or {}

    def published() -> list[Object]:
        found: list[Object] = queue.api.look(f"/queues/{queue.name}/schedules").json()["schedules"]
        return found

    def ready() -> Object:
        conditions = live().get("status", {}).get("conditions", [])
        return next((dict(one) for one in conditions if one["type"] == "Ready"), {})

    until("it is scheduled", ready, lambda one: one.get("reason") == "Scheduled", timeout_s=20)
    queue.wait_completed(6, timeout_s=120)
    ids = queue.begun()
    assert len(ids) == len(set(ids)), "an occurrence was fired twice"
    moments = sorted(datetime.fromisoformat(one.removeprefix("often:")) for one in ids)
    gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(moments)}
    assert gaps == {EVERY_S}, "an occurrence was left out"
    status = live()["status"]
    assert status["nextFireTime"] > status["lastFireTime"]
    assert status["lastTask"] == f"often:{status['lastFireTime']}"
    print(queue.kubectl.run("get", "taskschedule"))
    print(queue.kubectl.run("describe", "taskschedule", "often"))

    queue.kubectl.apply(schedule(queue, suspend=True))
    until("it is suspended", ready, lambda one: one.get("reason") == "Suspended", timeout_s=20)
    enqueued = queue.wait_figures("all have ended", lambda f: f["completed"] == f["enqueued"])["enqueued"]
    throughout("nothing is fired", queue.figures, lambda f: f["enqueued"] == enqueued, for_s=2.5 * EVERY_S)

    queue.kubectl.apply(schedule(queue, suspend=False))
    queue.wait_figures("it is fired again", lambda f: f["enqueued"] > enqueued, timeout_s=30)
    queue.kubectl.run("delete", "taskschedule", "often")
    until("Redis has none", published, lambda found: found == [], timeout_s=20)
    enqueued = queue.wait_figures("all have ended", lambda f: f["completed"] == f["enqueued"])["enqueued"]
    throughout("nothing is fired", queue.figures, lambda f: f["enqueued"] == enqueued, for_s=2.5 * EVERY_S)
