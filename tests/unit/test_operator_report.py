"""Conditions and status: what is said, when a time moves, and what is worth a write."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from ferryman_operator import status
from ferryman_operator.autoscaler import Decision, Memory, Reason
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.conditions import Findings, conditions, merged
from ferryman_operator.pause import Pause
from ferryman_operator.spec import StopPolicy


def decision(wanted: int = 0, reason: Reason = Reason.FLOOR) -> Decision:
    return Decision(wanted, reason, "because", Memory())


GOOD = Findings(generation=4, policy_written=True, decision=decision())
BLIND = decision(2, Reason.NO_MEASUREMENT)
REFUSED = Unmeasured("ConnectionRefused", "Redis at r:6379/0 does not answer")
NO_SECRET = Unmeasured("SecretNotFound", "Secret 's' does not exist")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(
            GOOD,
            {
                "Ready": "True Ready",
                "SpecValid": "True Valid",
                "BrokerReachable": "True Reachable",
                "PolicySynced": "True Synced",
                "ScalingActive": "True Measuring",
                "Paused": "False Running",
            },
            id="all is well",
        ),
        pytest.param(
            replace(GOOD, unmeasured=REFUSED, decision=BLIND),
            {
                "Ready": "False ConnectionRefused",
                "SpecValid": "True Valid",
                "BrokerReachable": "False ConnectionRefused",
                "PolicySynced": "True Synced",
                "ScalingActive": "False NoMeasurement",
                "Paused": "False Running",
            },
            id="Redis is away",
        ),
        pytest.param(
            replace(GOOD, unmeasured=NO_SECRET, decision=BLIND, policy_written=False),
            {"Ready": "False SecretNotFound", "BrokerReachable": "Unknown SecretNotFound"},
            id="the Secret is missing",
        ),
        pytest.param(
            Findings(generation=4, invalid="spec.worker.image: is required"),
            {"Ready": "False InvalidSpec", "SpecValid": "False InvalidSpec", "BrokerReachable": "Unknown NotTried"},
            id="the spec is invalid",
        ),
        pytest.param(
            Findings(generation=4, claimed_by="kubernetes/ns/other"),
            {"Ready": "False QueueClaimed", "ScalingActive": "False NotReady"},
            id="another TaskQueue owns the queue",
        ),
        pytest.param(
            replace(GOOD, refusal=("Forbidden", "cannot patch deployments")),
            {"Ready": "False Forbidden"},
            id="a permission is missing",
        ),
        pytest.param(
            replace(GOOD, policy_written=False), {"Ready": "False NotWritten"}, id="the policy is not written"
        ),
        pytest.param(
            replace(GOOD, trouble="pod a: ImagePullBackOff", decision=decision(2)),
            {"Ready": "False WorkersFailing"},
            id="no worker starts",
        ),
        pytest.param(
            replace(GOOD, trouble="pod a: ImagePullBackOff", decision=decision(2), ready_workers=1),
            {"Ready": "True Ready"},
            id="some worker runs",
        ),
        pytest.param(
            replace(GOOD, stop_policy=StopPolicy.HOLD, on_hold=True, decision=decision(2, Reason.HOLD)),
            {"Ready": "True Ready", "Paused": "True StopPolicy", "ScalingActive": "False Hold"},
            id="stopped by the spec",
        ),
        pytest.param(replace(GOOD, on_hold=True), {"Paused": "True HeldByHand"}, id="stopped by hand"),
        pytest.param(
            replace(GOOD, on_hold=True, held_by_spec=True), {"Paused": "True StopPolicy"}, id="no longer stopped"
        ),
        pytest.param(
            replace(GOOD, decision=decision(2, Reason.EXTERNAL)), {"ScalingActive": "True External"}, id="external"
        ),
        pytest.param(
            replace(GOOD, policy_behind=2),
            {"PolicySynced": "False WorkersReading", "Ready": "True Ready"},
            id="workers have yet to read the policy",
        ),
        pytest.param(
            replace(GOOD, pause=Pause(scale_in=True, scale_out=True)),
            {"Paused": "True ScalingPaused", "ScalingActive": "False ScalingPaused", "Ready": "True Ready"},
            id="the number of workers is paused",
        ),
        pytest.param(
            replace(GOOD, pause=Pause(scale_in=True)),
            {"Paused": "True ScalingPaused", "ScalingActive": "True Measuring"},
            id="only removal is paused",
        ),
        pytest.param(replace(GOOD, awaits="2 workers to drain"), {"ScalingActive": "True Draining"}, id="draining"),
    ],
)
def test_conditions_say_what_is_so(found: Findings, expected: dict[str, str]) -> None:
    said = {one["type"]: f"{one['status']} {one['reason']}" for one in conditions(found)}
    assert {name: said[name] for name in expected} == expected
    assert all(one["observedGeneration"] == 4 and one["message"] for one in conditions(found))


def test_a_time_moves_only_when_the_status_changes() -> None:
    old = merged([], conditions(GOOD), "T1")
    again = merged(old, conditions(replace(GOOD, ready_workers=3, decision=decision(3))), "T2")
    away = merged(again, conditions(replace(GOOD, unmeasured=REFUSED, decision=BLIND)), "T3")
    times = [{one["type"]: one["lastTransitionTime"] for one in step} for step in (again, away)]
    assert set(times[0].values()) == {"T1"}
    assert (times[1]["Ready"], times[1]["BrokerReachable"], times[1]["SpecValid"]) == ("T3", "T3", "T1")


def test_conditions_of_others_are_kept() -> None:
    other = {"type": "example.com/Checked", "status": "True", "reason": "R", "message": "m", "lastTransitionTime": "T0"}
    assert other in merged([other], conditions(GOOD), "T1")


STATUS: dict[str, Any] = {
    "observedGeneration": 4,
    "replicas": 1,
    "readyReplicas": 1,
    "selector": "s",
    "tasks": {"waiting": 5, "oldestSince": "T0"},
    "scaling": {"wanted": 1, "reason": "BacklogDrain", "message": "5 waiting"},
    "conditions": merged([], conditions(GOOD), "T1"),
}


@pytest.mark.parametrize(
    ("change", "since_last_s", "patch"),
    [
        pytest.param({}, 99.0, None, id="nothing changed"),
        pytest.param({"tasks": {"waiting": 6, "oldestSince": "T0"}}, 9.0, None, id="a live figure waits"),
        pytest.param(
            {"tasks": {"waiting": 6, "oldestSince": "T0"}},
            10.0,
            {"tasks": {"waiting": 6, "oldestSince": "T0"}},
            id="a live figure is due",
        ),
        pytest.param(
            {"tasks": {"waiting": 0}}, 10.0, {"tasks": {"waiting": 0, "oldestSince": None}}, id="nothing waits any more"
        ),
        pytest.param({"readyReplicas": 2}, 0.0, {"readyReplicas": 2}, id="replicas at once"),
    ],
)
def test_what_is_worth_a_write(change: dict[str, Any], since_last_s: float, patch: dict[str, Any] | None) -> None:
    assert status.patch(STATUS, STATUS | change, since_last_s=since_last_s) == patch


def test_a_condition_is_written_at_once_and_brings_the_live_figures_along() -> None:
    paused = merged(STATUS["conditions"], conditions(replace(GOOD, on_hold=True)), "T2")
    new = STATUS | {"conditions": paused, "tasks": {"waiting": 6, "oldestSince": "T0"}}
    patch = status.patch(STATUS, new, since_last_s=0.0)
    assert patch == {"conditions": paused, "tasks": {"waiting": 6, "oldestSince": "T0"}}


def test_an_unmeasured_pass_keeps_the_last_figures() -> None:
    new = status.build(
        STATUS,
        name="q",
        generation=4,
        deployment={"status": {"replicas": 1, "readyReplicas": 1}},
        reading=None,
        decision=BLIND,
        scaled=False,
        found=conditions(replace(GOOD, unmeasured=REFUSED, decision=BLIND)),
        now=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    assert new["tasks"] == STATUS["tasks"]
    assert new["scaling"] == {"wanted": 2, "reason": "NoMeasurement", "message": "because"}
    ready = next(one for one in new["conditions"] if one["type"] == "Ready")
    assert ready["lastTransitionTime"] == "2026-01-02T03:04:05Z"
