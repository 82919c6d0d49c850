"""`helm uninstall` of a release that watches one namespace: workers work on, and nothing waits for an operator.

The release is the scene's own, in the scene's namespace; the one that all scenes share only stops its operator.
"""

import functools
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import SceneQueue, name_of
from ferryman_e2e.system import System
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # stops the operator

_ROOT = Path(__file__).resolve().parents[2]
_RELEASE = "parting"
_VALUES = "image.registry=localhost,image.tag=dev,crds.install=false,rbac.aggregateClusterRoles=false,api.enabled=false"
#: Every kind that the chart can make in its namespace.
_KINDS = "deployments,pods,jobs,services,serviceaccounts,roles,rolebindings,configmaps,networkpolicies"
_CHILDREN = "deployments,replicasets,cronjobs,jobs,poddisruptionbudgets,pods"


@pytest.fixture
def helm(namespace: Kubectl, system: System) -> Iterator[Callable[..., str]]:
    """helm in the scene's namespace, where a release of its own has the only operator."""

    def run(*words: str) -> str:
        command = [str(_ROOT / ".cluster/bin/helm"), *words, "--namespace", namespace.namespace]
        done = subprocess.run(
            command, cwd=_ROOT, env=namespace.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    system.stop_operator()
    run("install", _RELEASE, "charts/ferryman", "--set", _VALUES, "--wait", "--timeout", "2m")
    yield run
    run("uninstall", _RELEASE, "--ignore-not-found", "--no-hooks", "--wait")


def _of_release(kubectl: Kubectl) -> list[str]:
    found = kubectl.list(_KINDS, f"app.kubernetes.io/instance={_RELEASE}")
    return sorted(f"{one['kind']}/{name_of(one)}" for one in found)


def _finalizers(queue: SceneQueue) -> list[str]:
    found: list[str] = queue.live().get("metadata", {}).get("finalizers") or []
    return found


def test_helm_uninstall_leaves_workers_at_work_and_no_object_that_cannot_go(
    queue: SceneQueue, helm: Callable[..., str]
) -> None:
    kubectl = queue.kubectl
    queue.create(deletionPolicy="Purge", scaling={"minReplicas": 1, "maxReplicas": 1})
    queue.wait_workers(1)
    queue.wait_ready()
    queue.post("work", {"seconds": 1}, delay="1h")
    # One that is being deleted just then: its purge waits for a task that runs for minutes.
    leaving = SceneQueue(kubectl, queue.api, f"{queue.name}-2")
    leaving.create(
        deletionPolicy="Purge",
        scaling={"minReplicas": 1, "maxReplicas": 1},
        worker={"taskTimeout": "9m"},
    )
    leaving.wait_workers(1)
    leaving.post("work", {"seconds": 500})
    leaving.wait_figures("it runs", lambda f: f["active"] == 1)
    assert _finalizers(queue) == _finalizers(leaving) == ["ferryman.dev/purge"]
    kubectl.run("delete", "taskqueue", leaving.name, "--wait=false")
    throughout("it waits for its purge", leaving.live, bool, for_s=3)
    assert "Deployment/parting-ferryman-operator" in _of_release(kubectl)

    print(helm("uninstall", _RELEASE, "--wait", "--timeout", "2m"))

    until("release and farewell are gone", lambda: _of_release(kubectl), lambda found: not found, timeout_s=20)
    until("what was being deleted is gone", leaving.live, lambda found: not found, timeout_s=10)
    assert leaving.figures()["active"] == 1, "its task has the grace of its pod"
    assert _finalizers(queue) == []
    assert "deletionTimestamp" not in queue.live()["metadata"]
    assert len(queue.pods()) == 1
    queue.post("work", {"seconds": 0.1}, count=20)
    queue.wait_completed(20, timeout_s=20)

    kubectl.run("delete", "taskqueue", queue.name, "--timeout=30s")
    for selector in (f"app.kubernetes.io/instance={queue.name}", "app.kubernetes.io/component=scheduler"):
        left = functools.partial(kubectl.list, _CHILDREN, selector)
        until("its children went with it", left, lambda found: not found, timeout_s=60)
    assert queue.figures()["delayed"] == 1, "nobody purged: the guide says to delete such queues first"
    others = kubectl.list("taskqueues,taskschedules,leases,services,roles,rolebindings,secrets,networkpolicies")
    assert [f"{one['kind']}/{name_of(one)}" for one in others] == ["Lease/ferryman-operator"]
