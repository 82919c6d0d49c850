"""Scaling down, as a table: pods and workers in, the next step out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from ferryman_operator.drain import STARTING_S, Fleet, Plan, plan
from ferryman_operator.pods import Pod

NOW_MS = 1_000_000
NOW_S = 5_000.0


@dataclass(frozen=True)
class Worker:
    id: str
    active: int = 0
    draining: bool = False
    deadline_ms: int = NOW_MS + 14_000


def pod(
    uid: str, *, ready: bool = True, age_s: float = 300.0, terminating: bool = False, phase: str = "Running"
) -> Pod:
    return Pod(
        namespace="ns",
        name=f"pod-{uid}",
        uid=uid,
        instance="q",
        version=1,
        created_s=NOW_S - age_s,
        phase=phase,
        ready=ready,
        terminating=terminating,
        disrupted=False,
        scheduled=True,
        running=True,
        reachable=True,
        ended=False,
        trouble="",
        exits=(),
    )


def worker(uid: str, nonce: str = "1", **more: int | bool) -> Worker:
    return replace(Worker(f"{uid}.worker.{nonce}"), **more)  # type: ignore[arg-type]


def fleet(pods: list[Pod], workers: list[Worker], *, replicas: int | None = None, rolled_out: bool = True) -> Fleet:
    count = len(pods) if replicas is None else replicas
    return Fleet(count, rolled_out, pods, workers, NOW_MS, NOW_S)


def drained(uid: str) -> Worker:
    return worker(uid, draining=True)


THREE = [pod("a"), pod("b"), pod("c")]
A, B, C = "a.worker.1", "b.worker.1", "c.worker.1"


@pytest.mark.parametrize(
    ("now", "wanted", "step"),
    [
        pytest.param(fleet([], [], replicas=0), 6, Plan(6), id="up in one step"),
        pytest.param(
            fleet(THREE, [worker("a"), drained("b"), worker("c")]),
            3,
            Plan(3, resume=(B,)),
            id="wanted again: drained workers go on",
        ),
        pytest.param(
            fleet(THREE, [worker("a", active=2), worker("b"), worker("c", active=5)]),
            2,
            Plan(3, drain=(B,), awaits="1 workers to drain"),
            id="the idle one is told to drain",
        ),
        pytest.param(
            fleet(THREE, [worker("a", active=2), worker("b", active=1), worker("c", active=5)]),
            2,
            Plan(3, drain=(B,), awaits="1 workers to drain"),
            id="all are busy: the least busy drains, and goes when it has finished",
        ),
        pytest.param(
            fleet(THREE, [worker("a", active=2), worker("b", active=1), worker("c")]),
            1,
            Plan(3, drain=(C,), awaits="2 workers to drain"),
            id="the idle one goes before a busy one is told to drain",
        ),
        pytest.param(
            fleet(
                [pod("a"), pod("b", ready=False), pod("c")],
                [worker("a"), worker("b", active=1, draining=True), worker("c", active=9)],
            ),
            2,
            Plan(3, drain=(A,), resume=(B,), awaits="pod-b to be ready or drained"),
            id="a busy one goes on when an idle one can go in its place",
        ),
        pytest.param(
            fleet(THREE, [worker("a"), drained("b"), worker("c")]),
            2,
            Plan(3, drain=(B,), awaits="1 workers to drain"),
            id="drained, but its pod is still ready: Kubernetes might take another",
        ),
        pytest.param(
            fleet([pod("a"), pod("b", ready=False), pod("c")], [worker("a"), drained("b"), worker("c")]),
            2,
            Plan(2, drain=(B,)),
            id="drained, idle and NotReady: now it may go",
        ),
        pytest.param(
            fleet(
                [pod("a"), pod("b", ready=False), pod("c")],
                [worker("a", active=5), worker("b", draining=True, active=1), worker("c", active=5)],
            ),
            2,
            Plan(3, drain=(B,), awaits="pod-b to be ready or drained"),
            id="NotReady but still at work",
        ),
        pytest.param(
            fleet(
                [pod("a", ready=False), pod("b", ready=False), pod("c")],
                [worker("a", active=1), drained("b"), worker("c")],
            ),
            2,
            Plan(3, drain=(B,), awaits="pod-a to be ready or drained"),
            id="another pod is NotReady for its own reasons: it would be taken instead",
        ),
        pytest.param(
            fleet([pod("a"), pod("b", ready=False, age_s=5), pod("c")], [worker("a"), worker("c")]),
            2,
            Plan(3, awaits="pod-b to be ready or drained"),
            id="a pod that is just starting",
        ),
        pytest.param(
            fleet([pod("a"), pod("b", ready=False, age_s=STARTING_S + 1), pod("c")], [worker("a"), worker("c")]),
            2,
            Plan(2),
            id="a pod that never starts has nothing to drain",
        ),
        pytest.param(
            fleet(
                [pod("a"), pod("b", ready=False), pod("c", ready=False)],
                [worker("a"), drained("b"), worker("b", "0", draining=True, active=3, deadline_ms=1), drained("c")],
            ),
            1,
            Plan(3, drain=(C, A), resume=(B, "b.worker.0"), awaits="pod-b to be ready or drained"),
            id="a dead predecessor still holds tasks in that pod",
        ),
        pytest.param(
            fleet(
                [pod("a"), pod("b", ready=False), pod("c")],
                [worker("a"), drained("b"), worker("b", "0", deadline_ms=1), worker("c")],
            ),
            2,
            Plan(2, drain=(B,)),
            id="a dead predecessor that holds nothing is in nobody's way",
        ),
        pytest.param(
            fleet(THREE, [drained("a"), drained("b"), drained("c")], rolled_out=False),
            2,
            Plan(3, resume=(A, B, C), awaits="the rollout of the workers"),
            id="not during a rollout",
        ),
        pytest.param(
            fleet([pod("a"), pod("b", terminating=True)], [worker("a"), drained("b")], replicas=2),
            1,
            Plan(2, awaits="the rollout of the workers"),
            id="not while a pod is being replaced",
        ),
        pytest.param(
            fleet(THREE, [worker("a"), worker("b"), worker("c")]),
            0,
            Plan(3, drain=(A, B, C), awaits="3 workers to drain"),
            id="to zero: all drain",
        ),
        pytest.param(
            fleet(THREE, [drained("a"), drained("b"), drained("c")]),
            0,
            Plan(0),
            id="to zero: fenced and idle is enough, ready or not",
        ),
        pytest.param(
            fleet(THREE, [drained("a"), worker("b", draining=True, active=1), drained("c")]),
            0,
            Plan(3, drain=(A, B, C), awaits="1 workers to drain"),
            id="to zero: one still works",
        ),
        pytest.param(
            fleet([pod("a", ready=False, age_s=1)], []), 0, Plan(0), id="to zero: a pod without a worker holds nothing"
        ),
        pytest.param(
            fleet([pod("a")], [drained("a"), worker("elsewhere", active=3)]),
            0,
            Plan(0),
            id="to zero: a worker outside this Deployment is not ours to wait for",
        ),
    ],
)
def test_the_next_step(now: Fleet, wanted: int, step: Plan) -> None:
    assert plan(now, wanted) == step


def test_never_more_pods_go_than_are_drained() -> None:
    pods = [pod("a", ready=False), pod("b"), pod("c"), pod("d")]
    workers = [drained("a"), worker("b"), worker("c"), worker("d")]
    assert plan(fleet(pods, workers), 1).replicas == 3
