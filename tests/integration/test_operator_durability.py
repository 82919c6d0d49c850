"""The operator's passes over a real Redis whose settings change: condition, events and metric follow, cheaply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ferryman_operator import redis_pass
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.metrics import Metrics
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import World

from ferryman.call import command
from ferryman.link import Link

SPEC = {"redis": {"url": "redis://r:6379/0"}, "worker": {"image": "acme:1", "app": "acme.tasks"}}


class Paper:
    """Takes the operator's writes instead of an API server; children are not of interest here."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.events: list[str] = []

    async def apply(self, queues: list[Tracked], link: Link | Unmeasured) -> None:
        pass

    async def patch_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        body = self.bodies[name]
        body["status"] = {**body.get("status", {}), **status}
        return body

    async def create_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(f"{event['type']} {event['reason']} {event['involvedObject']['name']}")


class Stage:
    """Some TaskQueues on one Redis."""

    def __init__(self, link: Link, *names: str) -> None:
        paper: Any = Paper()
        self.link, self.paper, world = link, paper, World()
        for name in names:
            metadata = {"namespace": "ns", "name": name, "uid": f"uid-{name}", "generation": 1}
            paper.bodies[name] = {"kind": "TaskQueue", "metadata": metadata, "spec": SPEC}
        self.tracked = {name: Tracked.of(body) for name, body in paper.bodies.items()}
        self._metrics = Metrics(self.tracked, world)
        settings = OperatorSettings(scheduler_image="scheduler:1")
        self._pass = RedisPass(world, paper, Reporter(world, paper), Endpoints(paper), settings)

    async def turn(self, link: Link | Unmeasured | None = None) -> None:
        await self._pass.run(link or self.link, list(self.tracked.values()))

    async def config(self, name: str, value: str) -> None:
        await self.link.run(command("CONFIG", "SET", name, value, read=bool))

    def condition(self, kind: str, queue: str = "q") -> str:
        [found] = [one for one in self.paper.bodies[queue]["status"]["conditions"] if one["type"] == kind]
        return f"{found['status']} {found['reason']}"

    def metric(self, queue: str = "q") -> str:
        [value] = re.findall(rf'^ferryman_queue_redis_durable{{queue="{queue}".*}} (\S+)$', self.text(), re.MULTILINE)
        return str(value)

    def text(self) -> str:
        return self._metrics.text().decode()


@pytest.fixture
async def link(start_redis: Callable[..., Any]) -> Any:
    link = Link.from_url(start_redis("--appendonly", "yes").url, reply_timeout_s=2)
    yield link
    while await _writes_its_first_file(link):
        await asyncio.sleep(0.05)
    await link.close()


async def _writes_its_first_file(link: Link) -> bool:
    """While it does, the server refuses to stop."""
    told = await link.run(command("INFO", "persistence", read=dict))
    return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])


async def test_condition_event_and_metric_follow_the_settings(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pass, "DURABILITY_EVERY_S", 0.0)
    stage = Stage(link, "q")
    await stage.turn()
    assert (stage.condition("RedisDurable"), stage.metric()) == ("True AppendOnly", "1.0")
    assert stage.paper.events == []

    await stage.config("maxmemory-policy", "allkeys-lru")
    for _ in range(3):
        await stage.turn()
    assert (stage.condition("RedisDurable"), stage.metric()) == ("False Evicts", "0.0")
    assert stage.condition("Ready") == "False RedisEvicts"
    assert stage.condition("ScalingActive").startswith("True"), "the workers of the queue run on"

    await stage.config("maxmemory-policy", "noeviction")
    await stage.config("appendonly", "no")
    for _ in range(3):
        await stage.turn()
    assert (stage.condition("RedisDurable"), stage.metric()) == ("False NoAppendOnlyFile", "0.0")
    assert "RedisEvicts" not in stage.condition("Ready")

    await stage.config("appendonly", "yes")
    for _ in range(3):
        await stage.turn()
    assert (stage.condition("RedisDurable"), stage.metric()) == ("True AppendOnly", "1.0")
    told = [event for event in stage.paper.events if "SchedulerNotReady" not in event]
    assert told == ["Warning RedisEvicts q", "Warning NoAppendOnlyFile q", "Normal RedisDurable q"]


async def test_one_redis_is_asked_once_in_30_seconds_whatever_its_queues(link: Link) -> None:
    stage = Stage(link, "a", "b", "c")
    await link.run(command("CONFIG", "RESETSTAT", read=bool))
    for _ in range(5):
        await stage.turn()
    calls = await link.run(command("INFO", "commandstats", read=lambda reply: reply["cmdstat_info"]["calls"]))
    assert calls == 3, "one for each section"
    assert {stage.condition("RedisDurable", name) for name in ("a", "b", "c")} == {"True AppendOnly"}


async def test_what_was_known_of_a_redis_is_forgotten_while_it_is_away_and_asked_at_once_after_it(link: Link) -> None:
    stage = Stage(link, "q")
    await stage.turn()
    away = Link.from_url("redis://127.0.0.1:1/0")
    await stage.turn(away)
    await away.close()
    assert stage.condition("RedisDurable") == "Unknown NotAsked"
    assert "ferryman_queue_redis_durable{" not in stage.text()

    await stage.turn()
    await stage.config("appendonly", "no")
    await link.run(command("CLIENT", "PAUSE", 7_000, "ALL", read=bool))
    async with asyncio.timeout(30):
        while stage.condition("RedisDurable") != "Unknown NotAsked":  # a single late answer is no news
            await stage.turn()
        while stage.condition("BrokerReachable") != "True Reachable":
            await stage.turn()
    assert stage.condition("RedisDurable") == "False NoAppendOnlyFile"


async def test_a_redis_that_refuses_writes_is_still_asked(link: Link) -> None:
    await link.run(command("CONFIG", "SET", "min-replicas-to-write", "1", read=bool))
    stage = Stage(Link(link.client), "q")  # of an operator that starts now
    await stage.turn()
    assert stage.condition("BrokerReachable") == "False WritesRefused"
    assert stage.condition("RedisDurable") == "True AppendOnly"
