"""The loop: which queues a turn passes over, what it knows before it does, and what it makes of a lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ferryman_operator.applier import Applier
from ferryman_operator.children import Children
from ferryman_operator.cluster import ClusterError, Forbidden
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.loop import DeadWatch, Loop
from ferryman_operator.metrics import Metrics
from ferryman_operator.reporter import Reporter
from ferryman_operator.schedules import Schedules
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World


def queue(name: str, redis: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": "ns", "name": name, "uid": name, "generation": 1, "resourceVersion": "5"}
    return {"metadata": metadata, "spec": {"redis": redis, "worker": {"image": "a:1", "app": "a"}}}


FAST = queue("fast", {"url": "redis://r:6379/0"})
SLOW = queue("slow", {"secretRef": {"name": "s", "key": "url"}})


class Api:
    """The API server's part: lists, and a Secret that it gives out when it is told to."""

    def __init__(self) -> None:
        self.queues = [FAST]
        self.refuse: dict[Kind, ClusterError] = {}
        self.secret = asyncio.Event()

    async def list(self, kind: Kind, namespace: str | None) -> tuple[list[dict[str, Any]], int]:
        if error := self.refuse.get(kind):
            raise error
        return (self.queues if kind is Kind.TASK_QUEUE else []), 9

    async def secret_value(self, namespace: str, name: str, key: str) -> str:
        await self.secret.wait()
        return "redis://s:6379/0"

    async def has_kind(self, kind: Kind) -> bool:
        return False


class Lead:
    """A leadership that is what a test says."""

    number: int | None = 1
    stands_by = is_refused = False

    @property
    def leads(self) -> bool:
        return self.number is not None

    def epoch(self, namespace: str) -> int | None:
        return self.number

    def is_anothers(self, namespace: str) -> bool:
        return self.stands_by


class Passes:
    """Notes which queues were passed over, and whether the pass might write."""

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], bool]] = []
        self.schedules: Schedules

    async def run(self, link: Any, queues: Sequence[Tracked], leads: Callable[[], bool]) -> None:
        self.ran.append(([tracked.name for tracked in queues], leads()))

    async def close(self) -> None:
        pass


class Stage:
    """A loop whose turns are taken one by one."""

    def __init__(self) -> None:
        self.api, self.lead, self.passes, self.world = Api(), Lead(), Passes(), World()
        self.tracked: dict[str, Tracked] = {}
        api: Any = self.api
        lead: Any = self.lead
        passes: Any = self.passes
        settings = OperatorSettings(scheduler_image="s:1", watch_patience_s=75.0)
        children = Children(self.world, Applier(api, self.world), settings)
        metrics, endpoints = Metrics(self.tracked, self.world), Endpoints(api)
        reporter = Reporter(self.world, api)
        self.passes.schedules = Schedules(self.world, api, reporter.events, settings.redis_timeout_s)
        self.loop = Loop(
            self.tracked, self.world, api, children, reporter, endpoints, passes, metrics, settings, lead
        )  # fmt: skip
        self.now_s = time.monotonic()

    async def turn(self, after_s: float = 1.0) -> list[tuple[list[str], bool]]:
        """One turn; what was passed over in it."""
        self.passes.ran.clear()
        self.now_s += after_s
        await self.loop._turn(self.now_s)
        await asyncio.gather(*self.loop._passes.values())
        return sorted(self.passes.ran)


@pytest.fixture
async def stage() -> Any:
    made = Stage()
    yield made
    made.api.secret.set()
    await made.loop.close()


async def test_a_secret_that_the_api_server_is_slow_to_give_delays_no_other_queue(stage: Stage) -> None:
    stage.api.queues = [FAST, SLOW]
    assert await stage.turn() == [(["fast"], True)]
    assert await stage.turn() == [(["fast"], True)]
    stage.api.secret.set()
    assert await stage.turn() == [(["fast"], True), (["slow"], True)]


async def test_who_stands_by_looks_at_nothing_and_is_well(stage: Stage) -> None:
    await stage.turn()
    stage.lead.number, stage.lead.stands_by = None, True
    stage.loop.finished_s = 0.0
    assert await stage.turn() == []
    assert stage.tracked == {}
    assert stage.loop.finished_s > 0


async def test_while_the_api_server_is_away_queues_are_measured_and_nothing_is_written(stage: Stage) -> None:
    await stage.turn()
    stage.lead.number = None
    assert await stage.turn() == [(["fast"], False)]
    assert "fast" in stage.tracked


async def test_what_was_remembered_in_an_older_epoch_is_dropped(stage: Stage) -> None:
    await stage.turn()
    before = stage.tracked["fast"]
    await stage.turn()
    assert stage.tracked["fast"] is before
    stage.lead.number = None
    await stage.turn()
    stage.lead.number = 1
    await stage.turn()
    assert stage.tracked["fast"] is before, "nobody else was at work"
    stage.lead.number = 3
    await stage.turn()
    assert stage.tracked["fast"] is not before


async def test_a_lease_that_is_refused_fails_the_liveness_probe(stage: Stage) -> None:
    stage.lead.number, stage.lead.is_refused = None, True
    stage.loop.finished_s = 0.0
    await stage.turn()
    assert stage.loop.finished_s == 0.0


async def test_a_kind_that_may_not_be_listed_is_told_and_the_others_are_seen(stage: Stage) -> None:
    stage.api.refuse[Kind.DEPLOYMENT] = Forbidden(403, "cannot list deployments.apps")
    assert await stage.turn() == [(["fast"], True)]
    assert stage.world.unseen_in("ns") == "cannot list deployments.apps"
    stage.api.refuse.clear()
    await stage.turn(after_s=11)
    assert stage.world.unseen_in("ns") == ""


async def test_nothing_is_done_before_taskqueues_are_known(stage: Stage) -> None:
    stage.api.refuse[Kind.TASK_QUEUE] = Forbidden(403, "cannot list taskqueues.ferryman.dev")
    stage.loop.finished_s = 0.0
    assert await stage.turn() == []
    assert stage.loop.finished_s == 0.0, "and the liveness probe tells"


async def test_a_dead_watch_ends_the_loop(stage: Stage) -> None:
    await stage.turn()
    stage.world.observe(Kind.TASK_QUEUE, None, FAST)
    changed = {**FAST, "metadata": {**FAST["metadata"], "resourceVersion": "7"}}
    stage.api.queues = [changed]
    await stage.turn(after_s=121)
    with pytest.raises(DeadWatch, match="TaskQueue in all namespaces"):
        await stage.turn(after_s=100)
