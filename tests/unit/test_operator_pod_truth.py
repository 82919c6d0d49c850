"""What a pod's events prove about its workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from ferryman_operator.pod_truth import Gone, proven_gone, vouchable
from ferryman_operator.pods import Exit, pod_from
from ferryman_operator.world import Kind, World

UID = "6e7019c3"
OLD, NEW = f"{UID}.worker.old", f"{UID}.worker.new"
KILLED = {"reason": "OOMKilled", "exitCode": 137, "message": OLD}


@dataclass(frozen=True)
class Worker:
    id: str
    deadline_ms: int = 20_000
    started_ms: int = 1


def pod_body(
    *,
    state: dict[str, Any] | None = None,
    last: dict[str, Any] | None = None,
    conditions: tuple[str, ...] = ("Ready",),
    ready: bool = True,
    terminating: bool = False,
    node: str = "node0",
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": "ns",
        "name": "q-worker-1",
        "uid": UID,
        "resourceVersion": "7",
        "creationTimestamp": "2026-11-24T13:35:59Z",
        "labels": {"app.kubernetes.io/instance": "q"},
    }
    if terminating:
        metadata["deletionTimestamp"] = "2026-11-24T13:40:00Z"
    status: dict[str, Any] = {
        "phase": "Running",
        "conditions": [{"type": name, "status": "True"} for name in conditions],
        "containerStatuses": [
            {"name": "worker", "ready": ready, "state": state or {"running": {}}, "lastState": last or {}}
        ],
    }
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status if node else {"phase": "Pending"}}


def test_a_restarted_container_names_the_process_that_died() -> None:
    pod = pod_from(pod_body(last={"terminated": KILLED}))
    assert pod.exits == (Exit(OLD, "OOMKilled, exit code 137"),)
    workers = [Worker(OLD), Worker(NEW), Worker("other.worker.1")]
    assert proven_gone(workers, {UID: pod}, {}) == [Gone(OLD, "OOMKilled, exit code 137", exempt=False)]


def test_an_eviction_is_told_with_its_reason() -> None:
    """For the pod's own limits it is a crash like another: what was announced came with DisruptionTarget."""
    body = pod_body(state={"terminated": KILLED | {"reason": "Error"}})
    body["status"] |= {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "Pod ephemeral local storage usage\nexceeds 1Gi.",
    }
    [gone] = proven_gone([Worker(OLD)], {UID: pod_from(body)}, {})
    assert gone.reason == "Evicted: Pod ephemeral local storage usage exceeds 1Gi. Error, exit code 137"
    assert (gone.exempt, gone.surely) == (False, True)


def test_a_pod_whose_node_is_gone_is_told_until_its_worker_is_silent() -> None:
    """The pod's garbage collector deletes it by force: nobody saw the process end."""
    world = World()
    lost = pod_body(conditions=(), ready=True)
    world.observe(Kind.POD, "MODIFIED", lost)
    assert proven_gone([Worker(OLD)], world.pods, world.deleted_pods) == []
    world.observe(Kind.POD, "DELETED", lost)
    [gone] = proven_gone([Worker(OLD)], world.pods, world.deleted_pods)
    assert (gone.reason, gone.surely, gone.exempt) == ("PodDeleted", False, True)


@pytest.mark.parametrize(
    "terminated",
    [
        pytest.param(KILLED | {"message": "Traceback: boom"}, id="another message"),
        pytest.param(KILLED | {"message": "other.worker.old"}, id="another pod's worker"),
        pytest.param(KILLED | {"reason": "ContainerStatusUnknown"}, id="the kubelet does not know"),
        pytest.param({"reason": "Error", "exitCode": 1}, id="no message"),
    ],
)
def test_anything_else_proves_nothing(terminated: dict[str, Any]) -> None:
    pod = pod_from(pod_body(last={"terminated": terminated}))
    assert proven_gone([Worker(OLD), Worker(NEW)], {UID: pod}, {}) == []


@pytest.mark.parametrize(
    ("body", "reason", "surely"),
    [
        pytest.param(
            pod_body(state={"terminated": KILLED}), "OOMKilled, exit code 137", True, id="its containers ended"
        ),
        pytest.param(
            pod_body(state={"terminated": {"reason": "Completed", "exitCode": 0}}),
            "PodDeleted",
            True,
            id="ended silently",
        ),
        pytest.param(pod_body(node=""), "PodDeleted", True, id="was never scheduled"),
        pytest.param(pod_body(), "PodDeleted", False, id="deleted by force: the process may live on"),
    ],
)
def test_a_deleted_pod_is_proof_only_when_nothing_can_run(body: dict[str, Any], reason: str, surely: bool) -> None:
    found = proven_gone([Worker(OLD)], {}, {UID: pod_from(body)})
    assert found == [Gone(OLD, reason, exempt=not surely, surely=surely)], "who ran to the last did not crash"


def test_a_pod_that_was_never_seen_to_end_proves_nothing() -> None:
    assert proven_gone([Worker(OLD)], {}, {}) == []


@pytest.mark.parametrize(
    ("conditions", "terminating", "exempt"),
    [
        pytest.param(("DisruptionTarget",), True, True, id="drained or preempted"),
        pytest.param(("DisruptionTarget",), False, False, id="announced, but not what ended it"),
        pytest.param((), True, False, id="deleted by a person"),
    ],
)
def test_only_an_announced_disruption_charges_nobody(
    conditions: tuple[str, ...], terminating: bool, exempt: bool
) -> None:
    pod = pod_from(pod_body(state={"terminated": KILLED}, conditions=conditions, terminating=terminating))
    assert [one.exempt for one in proven_gone([Worker(OLD)], {UID: pod}, {})] == [exempt]


@pytest.mark.parametrize(
    ("body", "vouched"),
    [
        pytest.param(pod_body(), [NEW], id="runs"),
        pytest.param(pod_body(conditions=(), ready=False), [NEW], id="runs, and is drained"),
        pytest.param(pod_body(conditions=(), ready=True), [], id="its node does not answer"),
        pytest.param(pod_body(state={"waiting": {"reason": "CrashLoopBackOff"}}), [], id="does not run"),
        pytest.param(pod_body(terminating=True), [], id="is being deleted"),
        pytest.param(pod_body(last={"terminated": KILLED | {"message": NEW}}), [], id="is proven dead"),
    ],
)
def test_vouching_for_the_newest_worker_of_a_pod_that_is_seen_running(body: dict[str, Any], vouched: list[str]) -> None:
    workers = [Worker(OLD, deadline_ms=0, started_ms=1), Worker(NEW, deadline_ms=12_000, started_ms=2)]
    pods = {UID: pod_from(body)}
    assert vouchable(workers, pods, now_ms=10_000, late_ms=7_500) == vouched
    assert vouchable(workers, pods, now_ms=1_000, late_ms=7_500) == [], "it beats in time and needs nobody's word"


def test_trouble_is_told_in_kubernetes_words() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    assert pod_from(pod_body(state=waiting)).trouble == "ImagePullBackOff: no such image"
    assert pod_from(pod_body(state={"waiting": {"reason": "ContainerCreating"}})).trouble == ""
