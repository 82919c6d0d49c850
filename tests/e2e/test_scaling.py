"""From zero workers to N and back, as a newcomer sees it with the quickstart's own files."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from ferryman_e2e.api import Api
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import Object, SceneQueue, is_ready
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_MANIFEST = Path(__file__).parents[2] / "examples/quickstart/taskqueue.yaml"
_COOLDOWN_S = 15  # as in the manifest
_CONDITIONS = ("Ready", "SpecValid", "BrokerReachable", "PolicySynced", "ScalingActive")


@pytest.fixture
def quickstart(namespace: Kubectl, api: Api) -> Iterator[SceneQueue]:
    """examples/quickstart/taskqueue.yaml, applied. The queue belongs to one TaskQueue: `make demo`'s is removed."""
    for other in namespace.list("taskqueues", everywhere=True):
        if other["spec"].get("queue", other["metadata"]["name"]) == "quickstart":
            where = namespace.within(other["metadata"]["namespace"])
            where.run("delete", "taskqueue", other["metadata"]["name"], "--timeout=60s")
    api.reset("quickstart")
    namespace.run("apply", "-f", str(_MANIFEST))
    yield SceneQueue(namespace, api, "quickstart")
    api.reset("quickstart")


@pytest.mark.alone  # measures seconds
def test_five_tasks_bring_workers_within_five_seconds_and_they_go_after_the_cooldown(quickstart: SceneQueue) -> None:
    for kind in _CONDITIONS:
        quickstart.wait_condition(kind, "True", timeout_s=30)
    assert quickstart.replicas() == 0
    assert quickstart.pods() == []
    before = quickstart.figures()["completed"]

    posted = time.monotonic()
    ids = quickstart.post("sleep", {"seconds": 1}, count=5)
    until("a ready worker", quickstart.pods, lambda pods: any(map(is_ready, pods)), timeout_s=5, every_s=0.1)
    print(f"0 -> N: first worker ready {time.monotonic() - posted:.1f} s after the post")

    quickstart.wait_completed(before + 5, timeout_s=20)
    done = time.monotonic()
    assert {task["state"] for task in quickstart.records(ids)} == {"completed"}
    print(f"five tasks of 1 s done {done - posted:.1f} s after the post")

    until("zero replicas after the cooldown", quickstart.replicas, lambda n: n == 0, timeout_s=_COOLDOWN_S + 15)
    idle_s = time.monotonic() - done
    print(f"N -> 0: {idle_s:.1f} s after the last task")
    assert idle_s > _COOLDOWN_S - 3
    until("no worker pods", quickstart.pods, lambda pods: not pods, timeout_s=30)
    quickstart.wait_condition("Ready", "True", timeout_s=10)


@pytest.mark.alone  # measures seconds
def test_a_delayed_task_at_zero_workers_starts_on_time(quickstart: SceneQueue) -> None:
    quickstart.wait_ready()
    assert quickstart.replicas() == 0
    [task_id] = quickstart.post("sleep", {"seconds": 3}, delay="10s")
    assert quickstart.records([task_id])[0]["state"] == "delayed"

    def task() -> Object:
        return quickstart.records([task_id])[0]

    started = until("the task runs", task, lambda task: task["state"] == "active", timeout_s=20)
    delay_s = (_moment(started["since"]) - _moment(started["enqueued_at"])).total_seconds()
    print(f"a delay of 10 s: started after {delay_s:.2f} s")
    assert 10 <= delay_s <= 13
    until("it completes", task, lambda task: task["state"] == "completed", timeout_s=20)


def test_workers_that_run_a_task_outlive_a_scale_down(queue: SceneQueue) -> None:
    """Many short tasks bring workers, one long task stays: only idle workers go, and it runs once."""
    queue.create(worker={"concurrency": 1}, scaling={"maxReplicas": 3, "targetLatency": "1s", "cooldown": "3s"})
    queue.wait_ready()
    [long_task] = queue.post("work", {"seconds": 25})
    short = queue.post("work", {"seconds": 0.5}, count=20)
    until("several workers", queue.pods, lambda pods: sum(map(is_ready, pods)) >= 2, timeout_s=40)
    queue.wait_completed(20, timeout_s=60)
    until("one worker is left", queue.replicas, lambda n: n == 1, timeout_s=20)
    queue.wait_completed(21, timeout_s=40)
    assert sorted(queue.begun()) == sorted([long_task, *short])  # each ran exactly once
    until("zero replicas", queue.replicas, lambda n: n == 0, timeout_s=30)


def test_drift_heals(queue: SceneQueue) -> None:
    queue.create(scaling={"minReplicas": 1})
    queue.wait_workers(1)
    queue.kubectl.scale(f"deployment/{queue.name}-worker", 3)
    until("the replica count is corrected", queue.replicas, lambda n: n == 1, timeout_s=20)
    queue.kubectl.run("delete", "deployment", f"{queue.name}-worker", "--wait=false")
    queue.kubectl.run("delete", "cronjob", f"{queue.name}-recovery", "--wait=false")
    until("the Deployment is back", queue.replicas, lambda n: n == 1, timeout_s=20)
    until("the CronJob is back", lambda: queue.kubectl.get("cronjob", f"{queue.name}-recovery"), bool, timeout_s=20)
    [task_id] = queue.post("echo", {"value": "still here"})
    queue.wait_completed(1)
    throughout("one replica", queue.replicas, lambda n: n == 1, for_s=3)
    assert queue.records([task_id])[0]["state"] == "completed"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
