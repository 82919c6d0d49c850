"""A deleted TaskQueue takes its children along, whether an operator runs or not, and leaves the tasks in Redis."""

import pytest
from ferryman_e2e.scene_queue import Object, SceneQueue, name_of
from ferryman_e2e.system import System
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_CHILDREN = "deployments,replicasets,cronjobs,jobs,poddisruptionbudgets,pods"


def _children(queue: SceneQueue) -> list[str]:
    """Everything in the namespace that a TaskQueue can have made; a test's namespace holds nothing else."""
    found: list[Object] = queue.kubectl.list(_CHILDREN)
    return sorted(f"{one['kind']}/{name_of(one)}" for one in found)


def _start(queue: SceneQueue) -> None:
    queue.create(scaling={"minReplicas": 1})
    queue.wait_workers(1)
    queue.wait_ready()
    kinds = {child.split("/")[0] for child in _children(queue)}
    assert kinds >= {"Deployment", "ReplicaSet", "CronJob", "PodDisruptionBudget", "Pod"}
    names = _children(queue)
    assert f"Deployment/{queue.name}-worker" in names
    assert f"CronJob/{queue.name}-recovery" in names


def test_deleting_a_taskqueue_removes_everything_it_made(queue: SceneQueue) -> None:
    _start(queue)
    queue.post("work", {"seconds": 1}, delay="1h")
    queue.kubectl.run("delete", "taskqueue", queue.name, "--timeout=30s")
    until("nothing is left", lambda: _children(queue), lambda found: not found, timeout_s=60)
    figures = queue.figures()
    assert (figures["delayed"], figures["unaccounted"]) == (1, 0)  # deletionPolicy Retain


def test_a_deletion_finishes_without_an_operator(queue: SceneQueue, system: System) -> None:
    _start(queue)
    system.stop_operator()
    queue.kubectl.run("delete", "taskqueue", queue.name, "--timeout=30s")
    assert queue.live() == {}
    until("nothing is left", lambda: _children(queue), lambda found: not found, timeout_s=60)


def test_a_shared_scheduler_goes_with_its_last_queue(queue: SceneQueue) -> None:
    _start(queue)
    other = SceneQueue(queue.kubectl, queue.api, queue.name + "-2")
    other.create()
    other.wait_ready()
    schedulers = "app.kubernetes.io/component=scheduler"
    [scheduler] = queue.kubectl.list("deployments", schedulers)
    queue.kubectl.run("delete", "taskqueue", queue.name, "--timeout=30s")
    until("its workers are gone", queue.deployment, lambda found: not found, timeout_s=30)
    [kept] = queue.kubectl.list("deployments", schedulers)
    assert kept["metadata"]["uid"] == scheduler["metadata"]["uid"]
    queue.kubectl.run("delete", "taskqueue", other.name, "--timeout=30s")
    until("nothing is left", lambda: _children(queue), lambda found: not found, timeout_s=60)
