"""The API server may be restarted, and a watch may die without a word."""

from __future__ import annotations

import pytest
from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import StartOperator, until
from ferryman_control_plane.plane import ControlPlane
from ferryman_control_plane.relay import Relay
from ferryman_control_plane.tasks import post


@pytest.mark.parametrize("kill", [pytest.param(False, id="in order"), pytest.param(True, id="by a crash")])
def test_an_operator_outlives_a_restart_of_the_api_server(
    plane: ControlPlane, namespace: Namespace, start_operator: StartOperator, redis_url: str, kill: bool
) -> None:
    namespace.queue("mail", redis_url)
    operator = start_operator()
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    plane.stop_api(kill=kill)
    post(redis_url, "mail", 200)  # what waits meanwhile is seen afterwards
    plane.start_api()
    until("workers", lambda: namespace.replicas("mail"), lambda number: number == 4, 40)
    namespace.queue("late", redis_url)
    until("a TaskQueue that comes later", lambda: namespace.replicas("late"), lambda number: number == 0, 40)
    assert operator.process.poll() is None
    assert operator.health() == 200


def test_an_operator_whose_watches_are_dead_ends_so_that_it_is_started_anew(
    plane: ControlPlane, namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    """kopf#1276: the connection lives, nothing comes. What the lists show meanwhile gives it away."""
    relay = Relay(plane.port)
    namespace.queue("mail", redis_url)
    kubeconfig = plane.kubeconfig("ferryman-operator", relay.port)
    patience = {"FERRYMAN_RESYNC_INTERVAL": "2s", "FERRYMAN_WATCH_PATIENCE": "6s"}
    operator = start_operator(kubeconfig=kubeconfig, **patience)
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    relay.freeze()
    namespace.queue("unseen", redis_url)
    assert operator.process.wait(timeout=60) == 1
    assert f"the watch of TaskQueue in {namespace.name}" in operator.said()
    operator.start()
    until("its successor sees all", lambda: namespace.replicas("unseen"), lambda number: number == 0, 60)
    operator.close()
    relay.close()
