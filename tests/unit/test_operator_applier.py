"""The applier: one write for a difference, none without, and fewer and fewer for what is refused."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from ferryman_operator.applier import ATTEMPTS, Applier, Wish
from ferryman_operator.cluster import ClusterError, Conflict, Forbidden
from ferryman_operator.world import Kind, World

OWNER = {"kind": "TaskQueue", "uid": "u"}


def build(replicas: int, note: str = "") -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": "a", "labels": {"by": "us"}, "ownerReferences": [OWNER]}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}


def wish(*args: Any) -> Wish:
    return Wish(Kind.DEPLOYMENT, "ns", "a", build, args)


class Server:
    """The API server's part; it shows what it keeps to the world, as a watch would."""

    def __init__(self) -> None:
        self.world = World()
        self.now_s = 0.0
        self.writes = 0
        self.error: ClusterError | None = None
        self.live: dict[str, Any] = {"metadata": {"generation": 0, "resourceVersion": "0", "uid": "d"}, "spec": {}}
        api: Any = self
        self.applier = Applier(api, self.world, lambda: self.now_s)

    async def apply(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        self.writes += 1
        if self.error:
            raise self.error
        return self.change(**body["metadata"], spec=body["spec"])

    def change(self, spec: Any = None, **metadata: Any) -> dict[str, Any]:
        old = self.live["metadata"]
        moved = spec is not None and spec != self.live["spec"]
        version = str(int(old["resourceVersion"]) + 1)
        self.live = {
            "metadata": {**old, **metadata, "generation": old["generation"] + moved, "resourceVersion": version},
            "spec": self.live["spec"] if spec is None else spec,
        }
        self.world.observe(Kind.DEPLOYMENT, "MODIFIED", copy.deepcopy(self.live))
        return copy.deepcopy(self.live)


@pytest.fixture
def server() -> Server:
    return Server()


async def test_an_equal_wish_costs_nothing_and_another_one_a_write(server: Server) -> None:
    assert not server.applier.is_settled(wish(1))
    assert await server.applier.apply(wish(1))
    assert server.applier.is_settled(wish(1))
    assert not server.applier.is_settled(wish(2))
    assert await server.applier.apply(wish(2))
    assert server.writes == 2


async def test_other_arguments_that_make_the_same_object_cost_no_write(server: Server) -> None:
    await server.applier.apply(wish(1, "a"))
    assert await server.applier.apply(wish(1, "b")) is False
    assert server.applier.is_settled(wish(1, "b"))
    assert server.writes == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"spec": {"replicas": 9}}, id="its spec"),
        pytest.param({"labels": {}}, id="its labels"),
        pytest.param({"ownerReferences": []}, id="its owner"),
        pytest.param({"uid": "other"}, id="all of it"),
    ],
)
async def test_what_others_changed_is_set_right(server: Server, change: dict[str, Any]) -> None:
    await server.applier.apply(wish(1))
    server.change(**change)
    assert not server.applier.is_settled(wish(1))
    assert await server.applier.apply(wish(1))
    assert server.applier.is_settled(wish(1))


async def test_what_others_own_is_no_difference(server: Server) -> None:
    await server.applier.apply(wish(1))
    server.change(annotations={"by": "hand"}, labels={"by": "us", "team": "a"}, ownerReferences=[OWNER, {"uid": "x"}])
    assert server.applier.is_settled(wish(1))


async def test_what_is_refused_is_tried_less_and_less_and_at_once_when_the_wish_changes(server: Server) -> None:
    server.error = Forbidden(403, "no")
    for _ in range(600):
        with pytest.raises(Forbidden):
            await server.applier.apply(wish(1))
        server.now_s += 1
    assert server.writes < 30
    server.error = None
    assert await server.applier.apply(wish(2))
    server.error = Forbidden(403, "no")
    with pytest.raises(Forbidden):
        await server.applier.apply(wish(3))
    server.error = None
    assert await server.applier.apply(wish(3)), "the first repetition is at once"


async def test_a_refused_change_that_is_taken_back_is_settled(server: Server) -> None:
    await server.applier.apply(wish(1))
    server.error = Forbidden(403, "no")
    with pytest.raises(Forbidden):
        await server.applier.apply(wish(2))
    assert not server.applier.is_settled(wish(1)), "somebody must take the refusal back"
    assert await server.applier.apply(wish(1)) is False
    assert server.applier.is_settled(wish(1))


async def test_a_conflict_is_tried_again_now_and_in_the_next_pass(server: Server) -> None:
    server.error = Conflict(409, "changed")
    with pytest.raises(Conflict):
        await server.applier.apply(wish(1))
    assert server.writes == ATTEMPTS
    server.error = None
    assert await server.applier.apply(wish(1))
