"""The reporter: no status is made or written twice, and live figures of many queues share what the server can take."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ferryman_bench.operator_scene import Scene
from ferryman_operator import status
from ferryman_operator.backlog import Reading
from ferryman_operator.reporter import LIVE_WRITES_PER_S, Reporter
from ferryman_operator.world import World

from ferryman.link import Link


@pytest.fixture
async def scene(fake_link: Link) -> Scene:
    return Scene(fake_link)


async def test_a_status_that_would_come_out_again_is_not_made_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await scene.turn()
    made: list[Any] = []
    build = status.build

    def counted(*args: Any, **named: Any) -> dict[str, Any]:
        made.append(named)
        return build(*args, **named)

    monkeypatch.setattr(status, "build", counted)
    await scene.turn()
    assert made == []
    await scene.post(3)
    await scene.turn()
    assert len(made) == 1


async def test_figures_that_changed_are_told_although_nothing_else_has(scene: Scene) -> None:
    scene.change(stopPolicy="Hold")
    for _ in range(3):
        await scene.turn()
    await scene.post(3)
    await scene.turn()
    assert scene.tracked.body["status"]["tasks"]["waiting"] == 0, "not yet: it is live, and no condition"
    scene.tracked.reported_s = float("-inf")
    await scene.turn()
    assert scene.tracked.body["status"]["tasks"]["waiting"] == 3


async def test_how_long_a_task_waits_is_no_change_of_when_it_came(scene: Scene, frozen_clock: Any) -> None:
    """By two clocks it would be, now and then, and each time a write."""
    scene.change(stopPolicy="Hold")
    await scene.post(1)
    await scene.turn()
    since = set()
    for _ in range(50):
        await frozen_clock.advance(777)
        await scene.turn()
        reading = scene.tracked.reading
        assert isinstance(reading, Reading)
        since.add(status._tasks(reading)["oldestSince"])
    assert len(since) == 1


def test_live_figures_of_many_queues_share_a_budget() -> None:
    reporter = Reporter(World(), None)  # type: ignore[arg-type]
    assert reporter._every_s() == status.LIVE_EVERY_S
    reporter._late = {f"q{number}" for number in range(1000)}
    assert reporter._every_s() == 1000 / LIVE_WRITES_PER_S


async def test_a_pass_does_not_wait_long_for_an_api_server_that_is_slow_to_take_reports(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferryman_operator.reports.PATIENCE_S", 0.01)
    taken, begun = asyncio.Event(), []
    patch_status = scene.cluster.patch_status

    async def slow(namespace: str, name: str, change: Any) -> dict[str, Any]:
        begun.append(change)
        await taken.wait()
        return await patch_status(namespace, name, change)

    monkeypatch.setattr(scene.cluster, "patch_status", slow)
    await scene.turn()
    await scene.post(200)
    await scene.turn()
    assert scene.replicas() == 4, "it acts although nobody has taken its first report"
    assert len(begun) == 1, "and says one thing after the other"
    taken.set()
    while len(begun) < 2:
        await scene.turn()
    assert scene.condition("Ready")
    await scene.redis_pass.close()
