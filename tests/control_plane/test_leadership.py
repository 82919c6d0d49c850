"""Two operators by accident do no harm: one leads, and whoever no longer does writes nothing, however late it wakes."""

from __future__ import annotations

import signal
from typing import Any

from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import OperatorProcess, StartOperator, until
from ferryman_control_plane.plane import ControlPlane
from ferryman_control_plane.tasks import post

LEASE = "ferryman-operator"


def lease(namespace: Namespace) -> dict[str, Any]:
    found = namespace.get("leases", LEASE)
    spec: dict[str, Any] = found["spec"] if found else {}
    return spec


def start_second(start: StartOperator, plane: ControlPlane) -> OperatorProcess:
    """Another installation, with a service account of its own."""
    return start("second", kubeconfig=plane.folder / "second-operator.kubeconfig")


def test_only_one_of_two_operators_writes_and_the_other_takes_over_when_it_dies(
    plane: ControlPlane, namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    namespace.queue("mail", redis_url)
    first = start_operator()
    until("the first leads", lambda: lease(namespace).get("leaseTransitions"), lambda epoch: epoch == 1, 60)
    second = start_second(start_operator, plane)
    until("the second stands by", second.said, lambda said: "standing by" in said, 60)
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 30)
    post(redis_url, "mail", 200)
    until("workers", lambda: namespace.replicas("mail"), lambda number: number == 4, 10)
    assert plane.written(namespace.name, "second-operator") == []
    assert second.health() == 200

    first.stop(signal.SIGKILL)
    namespace.delete("deployments", "mail-worker")
    until("the second takes over", lambda: namespace.replicas("mail"), lambda number: number == 4, 40)
    assert lease(namespace)["leaseTransitions"] == 2


def test_an_operator_that_was_frozen_writes_nothing_when_it_wakes_in_anothers_epoch(
    plane: ControlPlane, namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    namespace.queue("mail", redis_url)
    first = start_operator()
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    second = start_second(start_operator, plane)
    until("the second stands by", second.said, lambda said: "standing by" in said, 60)
    first.process.send_signal(signal.SIGSTOP)
    until("the second leads", lambda: lease(namespace)["leaseTransitions"], lambda epoch: epoch == 2, 40)
    mark = plane.mark()
    post(redis_url, "mail", 200)
    until("the second acts", lambda: namespace.replicas("mail"), lambda number: number == 4, 20)
    first.process.send_signal(signal.SIGCONT)
    until("the first stands by", first.said, lambda said: "standing by" in said, 20)
    assert plane.written(namespace.name, since=mark) == []
    assert lease(namespace)["leaseTransitions"] == 2


def test_an_operator_that_is_stopped_gives_the_lease_up_at_once(
    namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    namespace.queue("mail", redis_url)
    first = start_operator()
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    assert first.stop() == 0
    assert lease(namespace)["holderIdentity"] == ""
