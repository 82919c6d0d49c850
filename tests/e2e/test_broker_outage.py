"""Redis goes away and comes back: nobody is scaled, nobody is restarted, nothing is lost."""

import time

import pytest
from ferryman_e2e.scene_queue import SceneQueue, name_of, restarts
from ferryman_e2e.system import System
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # stops the Redis of all

_COOLDOWN_S = 5


def test_redis_is_away_for_a_while(queue: SceneQueue, system: System) -> None:
    queue.create(worker={"concurrency": 2}, scaling={"minReplicas": 0, "maxReplicas": 2, "cooldown": f"{_COOLDOWN_S}s"})
    queue.wait_ready()
    ids = queue.post("work", {"seconds": 15}, count=4)
    queue.wait_figures("all tasks run", lambda f: f["active"] == 4, timeout_s=60)
    before = {name_of(pod): restarts(pod) for pod in queue.wait_workers(2)}

    system.stop_redis()
    gone = time.monotonic()
    condition = queue.wait_condition("BrokerReachable", "False", timeout_s=30)
    print(f"BrokerReachable=False after {time.monotonic() - gone:.1f} s: {condition['reason']}: {condition['message']}")
    assert condition["reason"]
    assert condition["message"]
    # Long enough for the cooldown to end, and for the tasks: without a measurement nothing is scaled down.
    throughout("two replicas", queue.replicas, lambda n: n == 2, for_s=3 * _COOLDOWN_S)
    answer = queue.api.request("POST", "/tasks", {"queue": queue.name, "task": "echo", "args": {"value": "x"}})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]

    system.start_redis()
    back = time.monotonic()
    queue.wait_condition("BrokerReachable", "True", timeout_s=30)
    queue.wait_condition("Ready", "True", timeout_s=30)
    print(f"BrokerReachable=True {time.monotonic() - back:.1f} s after Redis was back")
    until("the API takes tasks", lambda: queue.api.request("GET", "/readyz").status_code, lambda code: code == 200, 30)
    ids += queue.post("echo", {"value": "after"})
    queue.wait_completed(5, timeout_s=90)
    assert {task["state"] for task in queue.records(ids)} == {"completed"}
    assert {name_of(pod): restarts(pod) for pod in queue.pods()}.items() <= before.items()
    until("zero replicas: scaling works again", queue.replicas, lambda n: n == 0, timeout_s=40)


def test_the_redis_pod_is_deleted_under_load(queue: SceneQueue, system: System) -> None:
    queue.create(worker={"concurrency": 4}, scaling={"minReplicas": 2, "maxReplicas": 2})
    before = {name_of(pod): restarts(pod) for pod in queue.wait_workers(2)}
    ids = queue.post("work", {"seconds": 0.2}, count=200)
    queue.wait_figures("tasks are being done", lambda f: f["completed"] > 20, timeout_s=30)

    system.kubectl.run("delete", "pod", "ferryman-redis-0")
    system.kubectl.rollout("statefulset/ferryman-redis")

    queue.wait_completed(200, timeout_s=90)
    assert {task["state"] for task in queue.records(ids)} == {"completed"}
    assert {name_of(pod): restarts(pod) for pod in queue.wait_workers(2)} == before
    queue.wait_ready()
