"""Whatever is enqueued, fetched, ended and lost in whatever order: limits hold, and nothing is lost or left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from fakeredis import FakeAsyncRedis, FakeServer
from ferryman_bench import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferryman.call import command
from ferryman.link import Link
from ferryman.new_task import NewTask
from ferryman.protocol import Completion, Delivery
from ferryman.terms import Terms
from ferryman.testing.clock import Clock, load_timed

LANES = ("a", "b", "")
WINDOW_MS = 1_000

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enqueue"), st.sampled_from(LANES), st.integers(1, 6)),
        st.tuples(st.just("delayed"), st.sampled_from(LANES), st.integers(1, 700)),
        st.tuples(st.just("fetch"), st.sampled_from(["w1", "w2"]), st.integers(1, 8)),
        st.tuples(st.sampled_from(["complete", "retry", "dead", "requeue"]), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("advance"), st.integers(1, 600), st.just(0)),
        st.tuples(st.sampled_from(["promote", "revive", "mend"]), st.just(0), st.just(0)),
    ),
    max_size=40,
)
LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "lane_concurrency": st.integers(1, 3),
        "lane_rate_count": st.integers(1, 3),
        "rate_count": st.integers(1, 4),
    },
)


class Clocked:
    """The bench's clock, by the key that timed scripts read."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self.link, self.clock = link, clock

    async def advance(self, ms: int) -> None:
        self.clock.now_ms += ms
        await self.link.run(self.clock.set())


class Story:
    """One queue, what runs, and when what was fetched."""

    def __init__(self, limits: dict[str, int]) -> None:
        self.limits = limits
        self.link = Link(FakeAsyncRedis(server=FakeServer()), load=load_timed)
        self.clock = Clock()
        self.bench = Bench(self.link, Clocked(self.link, self.clock))
        self.count = 0
        self.lanes: dict[str, str] = {}
        self.held: list[tuple[str, Delivery]] = []
        self.starts: list[tuple[int, str]] = []

    async def play(self, steps: list[Any]) -> None:
        bench, periods = self.bench, {f"{n[:-6]}_ms": WINDOW_MS for n in self.limits if n.endswith("_count")}
        await self.link.run(self.clock.set())
        await bench.run(bench.policy.write({**self.limits, **periods}, 1))
        await bench.register("w1", "w2", timeout_ms=10**9)
        for step in steps:
            await self.take(*step)
            await self.check()
        for _ in range(600):
            stats = await bench.stats()
            if not stats.waiting + stats.delayed + stats.blocked + stats.active:
                break
            for worker in ("w1", "w2"):
                await self.take("fetch", worker, 8)
            await self.check()
            while self.held:
                await self.take("complete", 0, 0)
            await bench.clock.advance(200)
            await bench.run(bench.broker.promote())
        stats = await bench.stats()
        assert not stats.waiting + stats.delayed + stats.blocked + stats.active, stats
        keys = await bench.run(command("KEYS", bench.keys.root + "*", read=lambda reply: [k.decode() for k in reply]))
        left = [key for key in keys if key.split("}:")[1].split(":")[0] in ("lane", "places", "lanes", "lane-ready")]
        assert left == []
        assert stats.ready == 0

    async def take(self, what: str, which: Any, many: int) -> None:
        bench = self.bench
        match what:
            case "enqueue" | "delayed":
                count, delay = (many, 0) if what == "enqueue" else (1, many)
                ids = [f"t{self.count + n}" for n in range(count)]
                self.count += count
                self.lanes |= dict.fromkeys(ids, which)
                await bench.enqueue(*ids, terms=Terms(lane=which).encode(), delay_ms=delay)
            case "fetch":
                for delivery in await bench.fetch(which, many):
                    self.held.append((which, delivery))
                    self.starts.append((self.clock.now_ms, self.lanes[delivery.id]))
            case "complete" | "retry" | "dead" | "requeue":
                if self.held:
                    worker, held = self.held.pop(which % len(self.held))
                    await self.end(what, worker, held)
            case "cancel":
                await bench.run(bench.broker.cancel(f"t{which}"))
            case "advance":
                await bench.clock.advance(which)
            case "promote":
                await bench.run(bench.broker.promote())
            case "revive":
                await bench.run(bench.broker.revive())
            case "mend":
                assert (await bench.run(bench.broker.mend_lanes())).count == 0

    async def end(self, how: str, worker: str, held: Delivery) -> None:
        broker, run = self.bench.broker, self.bench.run
        if how == "complete":
            await run(broker.complete(worker, [Completion(held.id, held.token)]))
        elif how == "retry":
            await run(broker.retry(worker, held.id, held.token, delay_ms=100))
        elif how == "dead":
            await run(broker.dead_letter(worker, held.id, held.token, error="no"))
        else:
            await run(broker.requeue(worker, [(held.id, held.token)]))

    async def check(self) -> None:
        stats = await self.bench.stats()
        assert stats.unaccounted == 0
        running = Counter(self.lanes[held.id] for _, held in self.held)
        for lane in ("a", "b"):
            assert running[lane] <= self.limits.get("lane_concurrency", 10**9)
            self._in_rate([at for at, of in self.starts if of == lane], "lane_rate_count")
        self._in_rate([at for at, _ in self.starts], "rate_count")

    def _in_rate(self, starts: list[int], limit: str) -> None:
        if most := self.limits.get(limit):
            for first in starts:
                assert sum(1 for at in starts if first <= at < first + WINDOW_MS) <= most


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(LIMITS, STEPS)
def test_limits_hold_and_nothing_is_left_behind(limits: dict[str, int], steps: list[Any]) -> None:
    asyncio.run(Story(limits).play(steps))


MODES = {
    "done": Terms(),
    "while_waiting": Terms(unique_for="while_waiting"),
    "throttle": Terms(throttle_ms=1_000),
    "debounce": Terms(debounce_ms=300),
}
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from(["k", "l"]), st.integers(0, 1_000)),
        st.tuples(st.just("fetch"), st.just(""), st.just(1)),
        st.tuples(st.just("finish"), st.just(""), st.just(0)),
        st.tuples(st.just("advance"), st.just(""), st.integers(1, 500)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(sorted(MODES)), ACTS)
def test_a_unique_key_keeps_out_as_its_mode_says(mode: str, acts: list[Any]) -> None:
    asyncio.run(_unique(mode, acts))


async def _unique(mode: str, acts: list[Any]) -> None:
    story = Story({})
    bench, link = story.bench, story.link
    await link.run(story.clock.set())
    await bench.register("w1", timeout_ms=10**9)
    owners: dict[str, str] = {}
    states: dict[str, str] = {}
    created_at: dict[str, int] = {}
    last: dict[str, tuple[int, bytes]] = {}
    for n, (act, key, number) in enumerate(acts):
        now = story.clock.now_ms
        if act == "send":
            args = b'{"n":%d}' % number
            owner = owners.get(key, "")
            taken = {
                "done": states.get(owner) in ("waiting", "active"),
                "while_waiting": states.get(owner) == "waiting",
                "throttle": bool(owner) and now - created_at[owner] < 1_000,
                "debounce": states.get(owner) == "delayed",
            }[mode]
            new = NewTask(f"t{n}", "echo", args, unique=key, terms=MODES[mode].encode())
            [reply] = await bench.run(bench.broker.enqueue([new]))
            assert (reply.created, reply.id) == (not taken, owner if taken else new.id)
            if not taken:
                owners[key], states[new.id], created_at[new.id] = new.id, "waiting", now
            if mode == "debounce":
                states[owners[key]], last[owners[key]] = "delayed", (now, args)
        elif act == "advance":
            await bench.clock.advance(number)
            await bench.run(bench.broker.promote())
            for id, (sent, _) in last.items():
                if states[id] == "delayed" and story.clock.now_ms - sent >= 300:
                    states[id] = "waiting"
        elif act == "fetch":
            for delivery in await bench.fetch("w1", 1):
                assert states[delivery.id] == "waiting"
                if mode == "debounce":
                    assert delivery.args == last[delivery.id][1]
                states[delivery.id] = "active"
                story.held.append(("w1", delivery))
        elif story.held:
            _, held = story.held.pop(0)
            await bench.run(bench.broker.complete("w1", [Completion(held.id, held.token)]))
            states[held.id] = "completed"
