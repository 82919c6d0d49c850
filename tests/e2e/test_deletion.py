"""A deleted TaskQueue takes its children along, whether an operator runs or not, and leaves the tasks in Redis."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import SYSTEM, Object, SceneQueue, name_of
from ferryman_e2e.system import System
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.alone  # stops the operator
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


def _finalizers(queue: SceneQueue) -> list[str]:
    found: list[str] = queue.live().get("metadata", {}).get("finalizers") or []
    return found


def test_purge_discards_every_task_before_the_object_goes(queue: SceneQueue) -> None:
    queue.create(deletionPolicy="Purge", scaling={"minReplicas": 1, "maxReplicas": 1}, worker={"concurrency": 1})
    queue.wait_workers(1)
    until("it is held", lambda: _finalizers(queue), lambda found: found == ["ferryman.dev/purge"], timeout_s=10)
    queue.post("work", {"seconds": 3}, count=30)
    queue.post("work", {"seconds": 1}, delay="1h", count=5)
    queue.wait_figures("one runs", lambda f: f["active"] == 1)
    queue.kubectl.run("delete", "taskqueue", queue.name, "--timeout=60s")
    until("nothing is left", lambda: _children(queue), lambda found: not found, timeout_s=60)
    figures = queue.figures()
    assert (figures["waiting"], figures["delayed"], figures["active"], figures["unaccounted"]) == (0, 0, 0, 0)
    assert figures["completed"] >= 1, "what ran had its grace"
    assert figures["completed"] + figures["discarded"] == 35
    [event] = [one for one in queue.events() if one.startswith("Purged ")]
    assert event == f"Purged {figures['discarded']} tasks discarded"
    # A successor of the same name begins with nothing, and runs.
    queue.create()
    queue.post("work", {"seconds": 0.1})
    queue.wait_completed(figures["completed"] + 1)


def test_a_namespace_with_a_queue_to_purge_goes_with_it(queue: SceneQueue) -> None:
    queue.create(deletionPolicy="Purge")
    queue.wait_ready()
    until("it is held", lambda: _finalizers(queue), bool, timeout_s=10)
    queue.post("work", {"seconds": 1}, delay="1h", count=5)
    where = queue.kubectl.namespace
    queue.kubectl.run("delete", "namespace", where, "--timeout=90s")
    assert queue.figures()["delayed"] == 0
    # The fixture expects it: an empty one of the same name.
    queue.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": where}})


@pytest.mark.alone  # stops the operator
def test_without_an_operator_the_documented_patch_lets_go(queue: SceneQueue, system: System) -> None:
    queue.create(deletionPolicy="Purge")
    until("it is held", lambda: _finalizers(queue), bool, timeout_s=20)
    system.stop_operator()
    queue.kubectl.run("delete", "taskqueue", queue.name, "--wait=false")
    throughout("it waits for the operator", queue.live, bool, for_s=3)
    patch = json.dumps({"metadata": {"finalizers": None}})
    queue.kubectl.run("patch", "taskqueue", queue.name, "--type=merge", "-p", patch)
    until("it is gone", queue.live, lambda found: not found, timeout_s=10)


@pytest.mark.alone  # stops the operator
def test_the_farewell_before_an_uninstall_lets_go_of_every_queue(
    queue: SceneQueue, system: System, installed: Kubectl
) -> None:
    queue.create(deletionPolicy="Purge", scaling={"minReplicas": 1, "maxReplicas": 1})
    queue.wait_workers(1)
    until("it is held", lambda: _finalizers(queue), bool, timeout_s=20)
    # What `helm uninstall` does first; the release itself is needed by the other scenes.
    words = ["template", "ferryman", "charts/ferryman", "--namespace", SYSTEM, "--show-only", "templates/farewell.yaml"]
    values = ["--values", "charts/ferryman/ci/local-values.yaml"]
    helm = [str(_ROOT / ".cluster/bin/helm"), *words, *values]
    rendered = subprocess.run(helm, cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    hook = [one for one in yaml.safe_load_all(rendered) if one]
    try:
        installed.apply(*hook)
        installed.run("wait", "--for=condition=complete", "job/ferryman-farewell", "--timeout=90s")
        print(installed.run("logs", "job/ferryman-farewell"))
        assert _finalizers(queue) == []
        operator = "app.kubernetes.io/component=operator"
        until("no operator runs", lambda: installed.list("pods", operator), lambda pods: not pods, timeout_s=20)
        assert len(queue.pods()) == 1, "workers work on without an operator"
        queue.kubectl.run("delete", "taskqueue", queue.name, "--timeout=30s")
    finally:
        for one in hook:
            installed.run("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")
