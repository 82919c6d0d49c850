"""A dead watch gives itself away by what the lists show and it does not bring."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_operator.world import Kind, World

PATIENCE_S = 75.0


def body(name: str, version: int, namespace: str = "ns") -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize("kind", [Kind.TASK_QUEUE, Kind.POD])
def test_what_a_list_shows_and_the_watch_never_brings_is_noticed(kind: Kind) -> None:
    world = World()
    world.observe(kind, "ADDED", body("a", 5))
    world.replace(kind, [body("a", 5)], 9, None, 0.0)
    assert world.watches.dead(1000.0) == [], "nothing new in the list"
    world.replace(kind, [body("a", 12)], 20, None, 1000.0)
    assert world.watches.dead(1000.0 + PATIENCE_S) == []
    assert world.watches.dead(1000.1 + PATIENCE_S) == [f"{kind} in all namespaces"]


def test_a_watch_that_brings_anything_is_alive() -> None:
    world = World()
    world.replace(Kind.DEPLOYMENT, [body("a", 12)], 20, None, 0.0)
    world.observe(Kind.DEPLOYMENT, "MODIFIED", body("b", 11))
    assert world.watches.dead(1000.0) == []


def test_the_watch_of_another_kind_or_namespace_is_no_sign_of_life() -> None:
    world = World()
    world.replace(Kind.DEPLOYMENT, [body("a", 12, "one")], 20, "one", 0.0)
    world.observe(Kind.POD, "ADDED", body("p", 13, "one"))
    world.observe(Kind.DEPLOYMENT, "ADDED", body("b", 14, "two"))
    assert world.watches.dead(1000.0) == ["Deployment in one"]


def test_debts_count_from_the_first_list_that_showed_them() -> None:
    world = World()
    for number in range(10):
        world.replace(Kind.CRON_JOB, [body("a", 12 + number)], 30 + number, None, 10.0 * number)
    assert world.watches.dead(PATIENCE_S + 0.1) == ["CronJob in all namespaces"]


def test_what_the_operator_wrote_itself_is_owed_by_nobody() -> None:
    world = World()
    world.put(Kind.DEPLOYMENT, body("a", 12))
    world.replace(Kind.DEPLOYMENT, [body("a", 12)], 20, None, 0.0)
    assert world.watches.dead(1000.0) == []
