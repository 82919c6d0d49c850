"""A worker that ends brings the next look forward, but looks never follow each other without a pause."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ferryman_operator.alarm import APART_S, Alarm
from ferryman_operator.world import Kind, World


async def rested(alarm: Alarm, for_s: float) -> float:
    began_s = time.monotonic()
    await alarm.rest(for_s)
    return time.monotonic() - began_s


async def test_it_rests_as_long_as_it_should_when_nothing_rings() -> None:
    assert 0.3 <= await rested(Alarm(), 0.3) < 2


async def test_a_ring_ends_the_rest_and_counts_once() -> None:
    alarm = Alarm()
    for _ in range(5):
        alarm.ring()
    assert APART_S <= await rested(alarm, 30) < 10
    assert await rested(alarm, 0.4) >= 0.4


async def test_a_ring_in_the_middle_of_a_rest_ends_it() -> None:
    alarm = Alarm()
    asyncio.get_running_loop().call_later(0.3, alarm.ring)
    assert await rested(alarm, 30) < 10


def pod(version: int, **state: Any) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": "w", "uid": "a", "resourceVersion": str(version)}
    worker = {"name": "worker", "ready": True, "state": {"running": {}}, **state}
    return {
        "metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running", "containerStatuses": [worker]},
    }


async def test_only_the_end_of_a_process_rings() -> None:
    world = World()
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "message": "a.worker.1"}}
    steps = [
        (pod(1, lastState=ended), False),  # it may have ended long ago
        (pod(2, lastState=ended), False),
        (pod(3, lastState=ended, ready=False), False),
        (pod(4, lastState={"terminated": {**ended["terminated"], "message": "a.worker.2"}}), True),
    ]
    for body, rings in steps:
        world.observe(Kind.POD, "MODIFIED", body)
        for_s = 30 if rings else 2 * APART_S
        assert (await rested(world.alarm, for_s) < for_s) is rings
