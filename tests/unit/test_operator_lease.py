"""The lease: who may write, by clocks that need not agree, and that no two ever may."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from ferryman_operator.cluster import ClusterError, Conflict, Forbidden, NotFound
from ferryman_operator.lease import DURATION_S, HELD_S, RENEW_EVERY_S, Leadership, Lease


class Leases:
    """The API server's part: one Lease a namespace, and optimistic locking."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.version = 0
        self.trouble: ClusterError | None = None

    async def lease(self, namespace: str, name: str) -> dict[str, Any]:
        self._answer()
        if namespace not in self.kept:
            raise NotFound(404, "no such lease")
        return copy.deepcopy(self.kept[namespace])

    async def create_lease(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._answer()
        if body["metadata"]["namespace"] in self.kept:
            raise Conflict(409, "exists")
        return self._put(body)

    async def replace_lease(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self._answer()
        metadata = body["metadata"]
        if self.kept[metadata["namespace"]]["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise Conflict(409, "changed")
        return self._put(body)

    def _put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        kept = copy.deepcopy(dict(body))
        kept["metadata"]["resourceVersion"] = str(self.version)
        self.kept[kept["metadata"]["namespace"]] = kept
        return copy.deepcopy(kept)

    def _answer(self) -> None:
        if self.trouble:
            raise self.trouble


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(leases: Any, clock: Clock, identity: str) -> Lease:
    return Lease(leases, "ns", identity, clock)


async def test_the_first_leads_and_the_second_stands_by(leases: Leases, clock: Clock) -> None:
    first, second = lease(leases, clock, "a"), lease(leases, clock, "b")
    for _ in range(20):
        await first.keep()
        await second.keep()
        assert (first.epoch, second.epoch, second.holder) == (1, None, "a")
        clock.now_s += RENEW_EVERY_S


async def test_a_silent_holder_stops_before_another_may_take_over(leases: Leases, clock: Clock) -> None:
    first, second = lease(leases, clock, "a"), lease(leases, clock, "b")
    await first.keep()
    await second.keep()
    clock.now_s += HELD_S
    assert first.epoch is None, "it has not renewed"
    await second.keep()
    assert second.epoch is None
    clock.now_s += DURATION_S - HELD_S + 0.1
    await second.keep()
    assert [one.epoch for one in (first, second)] == [None, 2]
    await first.keep()
    assert (first.epoch, first.holder) == (None, "b")


async def test_what_counts_is_when_the_request_was_sent(leases: Leases, clock: Clock) -> None:
    """Had the answer taken long, others would count from before it."""
    first = lease(leases, clock, "a")
    slow = leases.create_lease

    async def create_lease(body: Mapping[str, Any]) -> dict[str, Any]:
        clock.now_s += HELD_S
        return await slow(body)

    leases.create_lease = create_lease  # type: ignore[method-assign]
    await first.keep()
    assert first.epoch is None


async def test_of_two_that_take_over_at_once_one_wins(leases: Leases, clock: Clock) -> None:
    await lease(leases, clock, "gone").keep()
    first, second = lease(leases, clock, "a"), lease(leases, clock, "b")
    await first.keep()
    await second.keep()
    clock.now_s += DURATION_S + 0.1
    seen = await leases.lease("ns", "ferryman-operator")
    await first.keep()

    async def stale(namespace: str, name: str) -> dict[str, Any]:
        return copy.deepcopy(seen)

    leases.lease = stale  # type: ignore[method-assign]
    await second.keep()
    assert (first.epoch, second.epoch) == (2, None)


async def test_a_restarted_container_goes_on_at_once_in_a_new_epoch(leases: Leases, clock: Clock) -> None:
    await lease(leases, clock, "pod-uid").keep()
    successor = lease(leases, clock, "pod-uid")
    await successor.keep()
    assert successor.epoch == 2


async def test_an_epoch_outlives_an_api_server_that_is_away(leases: Leases, clock: Clock) -> None:
    first = lease(leases, clock, "a")
    await first.keep()
    leases.trouble = ClusterError(0, "does not answer")
    clock.now_s += 60
    await first.keep()
    assert (first.epoch, first.is_refused) == (None, False)
    leases.trouble = None
    await first.keep()
    assert first.epoch == 1, "nobody else was at work"


async def test_a_lease_that_was_given_up_is_free_at_once(leases: Leases, clock: Clock) -> None:
    first, second = lease(leases, clock, "a"), lease(leases, clock, "b")
    await first.keep()
    await first.release()
    assert first.epoch is None
    await second.keep()
    assert second.epoch == 2
    await first.release()
    assert leases.kept["ns"]["spec"]["holderIdentity"] == "b"


async def test_a_missing_right_is_told_from_an_api_server_that_is_away(leases: Leases) -> None:
    api: Any = leases
    leadership = Leadership(api, ("a", "b"), "system", "me")
    leases.trouble = Forbidden(403, "no")
    for one in leadership._leases.values():
        await one.keep()
    assert (leadership.is_refused, leadership.leads, leadership.stands_by) == (True, False, False)


async def test_each_namespace_has_its_lease_and_all_of_them_one(leases: Leases) -> None:
    api: Any = leases
    other = Lease(api, "b", "other")
    await other.keep()
    leadership = Leadership(api, ("a", "b"), "system", "me")
    for one in leadership._leases.values():
        await one.keep()
    assert [leadership.holds(one) for one in ("a", "b", "c")] == [True, False, False]
    assert [leadership.is_anothers(one) for one in ("a", "b", "c")] == [False, True, False]
    whole = Leadership(api, (), "system", "me")
    for one in whole._leases.values():
        await one.keep()
    assert whole.epoch("anywhere") == 1
    assert set(leases.kept) == {"a", "b", "system"}
