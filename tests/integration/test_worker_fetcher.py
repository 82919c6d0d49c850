"""The worker's conversation with a real Redis: what it takes, when, and what it does with a lost reply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from ferryman_bench import Bench
from ferryman_worker.acker import Acker, OwnershipGone
from ferryman_worker.counters import UNKNOWN, Counters
from ferryman_worker.fetcher import Fetcher
from ferryman_worker.late_fetch import give_back_late
from ferryman_worker.listener import Listener
from ferryman_worker.pool import Pool
from ferryman_worker.slot import Slot
from ferryman_worker.stall import LOOK_EVERY_S

from ferryman.call import Call, command
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.protocol import Delivery


class Wire:
    """A link that can lose replies, and remembers which scripts went out together."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.trips: list[list[str]] = []
        self.lose_next_with = ""

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        self.trips.append([call.script for call in calls])
        replies = await self._link.run_all(calls)
        if self.lose_next_with in self.trips[-1]:
            self.lose_next_with = ""
            raise BrokerUnavailable("the connection broke after the command was applied")
        return replies


class Crew:
    """Worker w1 without heartbeat: fetcher, pool, acker. Tasks run until the test lets them end."""

    def __init__(self, bench: Bench, slots: int) -> None:
        self.bench = bench
        self.wire = Wire(bench.link)
        self.counters = Counters(bench.name)
        self.counters.know("echo")
        self.acker = Acker(self.counters)
        self.gates: dict[str, asyncio.Event] = {}
        self.order: list[str] = []
        self.pool = Pool(slots, self._process, self._progress)
        self.listening = Link.from_url(_url(bench.link))
        listener = Listener(self.listening, bench.broker, self._wake)
        self.fetcher = Fetcher(
            "w1",
            self.wire,  # type: ignore[arg-type]
            listener,
            bench.broker,
            bench.workers,
            self.pool,
            self.acker,
            self.counters,
        )

    def _progress(self) -> None:
        self.fetcher.progress()

    def _wake(self) -> None:
        self.fetcher.wake()

    async def _process(self, slot: Slot, delivery: Delivery) -> None:
        self.order.append(delivery.id)
        gate = self.gates.setdefault(delivery.id, asyncio.Event())
        slot.suspended()
        await gate.wait()
        slot.ended(0.0)
        self.acker.complete(delivery, 0.0, b"")

    def end(self, *ids: str) -> None:
        for task in ids:
            self.gates.setdefault(task, asyncio.Event()).set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.002)

    async def completed(self) -> list[str]:
        ids = command("ZRANGE", self.bench.keys.completed, 0, -1, read=lambda reply: [i.decode() for i in reply])
        return sorted(await self.bench.run(ids))

    async def until_completed(self, *ids: str) -> None:
        async with asyncio.timeout(20):
            while await self.completed() != sorted(ids):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def crew(bench: Bench, slots: int = 2) -> AsyncIterator[Crew]:
    """Registered, and at work."""
    await bench.register("w1")
    made = Crew(bench, slots)
    talk = asyncio.create_task(made.fetcher.run())
    try:
        yield made
    finally:
        made.fetcher.go_quiet()
        talk.cancel()
        with suppress(asyncio.CancelledError, OwnershipGone):
            await talk
        while made.pool.running:
            made.end(*made.gates)
            await asyncio.sleep(0.002)
        await made.pool.close()
        await made.listening.close()


def _url(link: Link) -> str:
    return f"redis://{link.address}"


async def test_an_idle_worker_is_handed_a_task_and_completes_it(real_bench: Bench) -> None:
    async with crew(real_bench) as c:
        await c.until(lambda: c.fetcher._listener.listening)
        await real_bench.enqueue("a")
        await c.until(lambda: c.order == ["a"])
        assert (await real_bench.snapshot()).get("handed") is None
        c.end("a")
        await c.until_completed("a")


async def test_a_task_for_an_idle_worker_needs_no_round_trip_after_the_hand_over(real_bench: Bench) -> None:
    async with crew(real_bench) as c:
        await c.until(lambda: c.fetcher._listener.listening)
        trips = len(c.wire.trips)
        await real_bench.enqueue("a")
        await c.until(lambda: c.order == ["a"])
        assert c.wire.trips[trips:] == []


async def test_lists_are_not_compared_while_a_listener_may_be_given_a_task(real_bench: Bench) -> None:
    """What its fetch has taken and not told yet would go back, and run twice."""
    async with crew(real_bench) as c:
        await c.until(lambda: c.fetcher._listener.listening)
        c.fetcher.reconcile = True
        c.fetcher.wake()
        assert c.fetcher._blocked()
        await real_bench.enqueue("a")
        c.end("a")
        await c.until_completed("a")
        assert c.order == ["a"]
        assert ["holding"] in c.wire.trips


async def test_what_a_closed_listener_was_still_given_goes_back_before_the_worker_leaves(real_bench: Bench) -> None:
    await real_bench.register("w1")
    await real_bench.enqueue("late", "kept")
    late, kept = await real_bench.fetch("w1", 2)
    known = [(kept.id, kept.token)]
    assert await give_back_late(real_bench.link, real_bench.name, "w1", known) == 1
    snapshot = await real_bench.snapshot()
    assert snapshot["waiting"] == [late.id]
    assert (await real_bench.stats()).active == 1


async def test_a_listener_whose_connection_broke_listens_again_and_nobody_polls_meanwhile(real_bench: Bench) -> None:
    async with crew(real_bench) as c:
        await c.until(lambda: c.fetcher._listener.listening)
        blocked = command("CLIENT", "LIST", read=lambda reply: re.findall(r"id=(\d+) .*cmd=blmove", reply.decode()))
        async with asyncio.timeout(20):
            while not (ids := await real_bench.run(blocked)):
                await asyncio.sleep(0.005)
        trips = len(c.wire.trips)
        await real_bench.write("CLIENT", "KILL", "ID", ids[0])
        async with asyncio.timeout(20):
            while await real_bench.run(blocked) in ([], ids):
                await asyncio.sleep(0.005)
        # Its fetch may have been applied: one look at what Redis says that it holds, and no more.
        assert c.wire.trips[trips:] == [["holding"]]
        await real_bench.enqueue("a")
        await c.until(lambda: c.order == ["a"])


async def test_an_idle_worker_goes_on_when_a_full_redis_refuses_to_hand_over(real_bench: Bench) -> None:
    await real_bench.enqueue("a", delay_ms=1)
    await real_bench.write("CONFIG", "SET", "maxmemory", 1)
    await real_bench.write("CONFIG", "RESETSTAT")
    refused = command(
        "INFO", "commandstats", read=lambda reply: reply.get("cmdstat_blmove", {}).get("rejected_calls", 0)
    )
    try:
        async with crew(real_bench) as c:
            async with asyncio.timeout(20):
                while await real_bench.run(refused) < 2:
                    await asyncio.sleep(0.005)
            await real_bench.clock.advance(1)
            await real_bench.run(real_bench.broker.promote())
            c.end("a")
            await c.until_completed("a")
    finally:
        await real_bench.write("CONFIG", "SET", "maxmemory", 0)


async def test_outcomes_and_the_next_fetch_share_a_round_trip(real_bench: Bench) -> None:
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        await c.until(lambda: c.pool.running == 2)
        c.end(*[f"t{i}" for i in range(6)])
        await c.until_completed(*[f"t{i}" for i in range(6)])
        assert ["complete", "fetch"] in c.wire.trips


async def test_slow_tasks_are_never_fetched_beyond_the_free_slots(real_bench: Bench) -> None:
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        await c.until(lambda: c.pool.running == 2)
        stats = await real_bench.stats()
        assert (stats.active, stats.waiting) == (2, 4)


async def test_what_was_fetched_ahead_and_did_not_start_goes_back_to_the_front(real_bench: Bench) -> None:
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        c.pool.lookahead.ran(0.000_001, waited=False)  # it believes that tasks are short
        await c.until(lambda: c.pool.ahead == 4)
        await asyncio.sleep(0.25)  # the rule itself is about time: 200 ms
        c.fetcher.give_back_stale()
        async with asyncio.timeout(20):
            while (await real_bench.stats()).waiting < 4:
                await asyncio.sleep(0.005)
        assert (await real_bench.snapshot())["waiting"] == ["t2", "t3", "t4", "t5"]
        assert c.counters.of("echo").requeued == 4
        assert c.pool.room() == 0, "it does not fetch them again at once"


async def test_what_was_fetched_ahead_of_slow_tasks_goes_back_by_itself_within_50_ms(real_bench: Bench) -> None:
    assert 2 * LOOK_EVERY_S < 0.05  # the promise, by the worker's own clock; a loaded machine adds to what a test sees
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        c.pool.lookahead.ran(0.000_001, waited=False)
        await c.until(lambda: c.counters.of("echo").requeued == 4)
        async with asyncio.timeout(20):
            while (await real_bench.stats()).waiting < 4:
                await asyncio.sleep(0.005)
        assert c.order == ["t0", "t1"]


async def test_the_successors_of_a_crowd_are_fetched_before_it_ends_and_go_back_when_it_does_not(
    real_bench: Bench,
) -> None:
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        for _ in range(20):
            c.pool.lookahead.ran(0.1, waited=True)
        await c.until(lambda: c.pool.running == 2)
        fetches = c.wire.trips.count(["fetch"])
        await c.until(lambda: c.wire.trips.count(["fetch"]) > fetches)
        await c.until(lambda: c.counters.of("echo").requeued == 2)
        assert c.order == ["t0", "t1"], "nothing has ended"


@pytest.mark.parametrize("reply", ["fetch", "complete", "requeue"])
async def test_a_lost_reply_loses_nothing_and_runs_nothing_twice(real_bench: Bench, reply: str) -> None:
    await real_bench.enqueue("a", "b", "c", "d")
    async with crew(real_bench) as c:
        c.wire.lose_next_with = reply
        if reply == "requeue":
            await c.until(lambda: c.pool.running == 2)
            c.acker.give_back_unknown([])
            c.fetcher.wake()
        await c.until(lambda: c.pool.running == 2)
        c.end("a", "b", "c", "d")
        await c.until_completed("a", "b", "c", "d")
        assert sorted(c.order) == ["a", "b", "c", "d"]


async def test_a_fetch_that_was_applied_late_is_found_by_comparing_lists(real_bench: Bench) -> None:
    async with crew(real_bench) as c:
        c.fetcher.rest(True)
        await c.until(lambda: not c.fetcher._listener.listening)
        await real_bench.enqueue("ghost")
        await real_bench.fetch("w1")  # as a half-open connection would: nobody here knows of it
        assert (await real_bench.stats()).active == 1
        c.fetcher.reconcile = True
        c.fetcher.rest(False)
        c.fetcher.wake()
        c.end("ghost")
        await c.until_completed("ghost")
        assert c.order == ["ghost"]


async def test_outcomes_that_were_applied_after_the_list_was_read_are_not_given_back(real_bench: Bench) -> None:
    """Redis forgot its scripts, and somebody else has loaded `holding` again: that runs first, `complete` after it."""
    await real_bench.enqueue("a")
    async with crew(real_bench) as c:
        await c.until(lambda: c.order == ["a"])
        await c.until(lambda: c.fetcher._listener.listening)
        await real_bench.write("SCRIPT", "FLUSH")
        assert await real_bench.run(real_bench.workers.holding("w1")) == [("a", 1)]
        c.fetcher.reconcile = True
        c.end("a")
        await c.until_completed("a")
        assert ["complete", "holding"] in c.wire.trips
        await c.until(lambda: c.acker.settled)
        assert (c.counters.of(UNKNOWN).requeued, c.counters.stale_outcomes) == (0, 0)


async def test_a_held_queue_gives_nothing_until_a_beat_says_otherwise(real_bench: Bench) -> None:
    await real_bench.run(real_bench.policy.hold(True))
    await real_bench.enqueue("a")
    async with crew(real_bench) as c:
        await c.until(lambda: c.fetcher._appetite.resting)
        trips = len(c.wire.trips)
        c.fetcher.rest(True)
        await asyncio.sleep(0.05)
        assert len(c.wire.trips) == trips, "a resting worker does not poll"
        await real_bench.run(real_bench.policy.hold(False))
        c.fetcher.rest(False)
        await c.until(lambda: c.order == ["a"])


async def test_going_quiet_gives_back_what_has_not_started_and_fetches_no_more(real_bench: Bench) -> None:
    await real_bench.enqueue(*[f"t{i}" for i in range(6)])
    async with crew(real_bench) as c:
        c.pool.lookahead.ran(0.000_001, waited=False)
        await c.until(lambda: c.pool.ahead == 4)
        c.fetcher.go_quiet()
        c.end("t0", "t1")
        await c.until_completed("t0", "t1")
        for _ in range(30):  # as long as a fetch would take several times over
            stats = await real_bench.stats()
            assert (stats.active, stats.waiting) == (0, 4)
            await asyncio.sleep(0.01)


async def already_died_with(bench: Bench, *ids: str) -> None:
    """One worker has died with them before, so the next death makes them suspects."""
    for id in ids:
        await bench.write("HSET", bench.keys.task + id, "deaths", 1)


async def test_a_suspect_runs_only_when_nothing_else_is_here(real_bench: Bench) -> None:
    # Given two tasks whose workers died twice while they held both, and an innocent one behind them
    await real_bench.hold_active("dead", "s1", "s2")
    await already_died_with(real_bench, "s1", "s2")
    await real_bench.look_until_dead("dead")
    await real_bench.enqueue("innocent")
    async with crew(real_bench, slots=3) as c:
        # I expect each of them to run alone, and the innocent only after both
        await c.until(lambda: c.order == ["s1"])
        assert (await real_bench.stats()).active == 1
        c.end("s1")
        await c.until(lambda: c.order == ["s1", "s2"])
        assert (await real_bench.stats()).active == 1
        c.end("s2")
        await c.until(lambda: c.order == ["s1", "s2", "innocent"])


async def test_a_suspect_that_would_wait_for_a_long_task_goes_back_for_somebody_idle(real_bench: Bench) -> None:
    await real_bench.hold_active("dead", "s1", "s2")
    await already_died_with(real_bench, "s1", "s2")
    await real_bench.enqueue("long")
    async with crew(real_bench) as c:
        await c.until(lambda: c.order == ["long"])
        await real_bench.look_until_dead("dead")
        await c.until(lambda: c.fetcher._appetite.suspect is not None)
        await asyncio.sleep(0.25)  # the rule itself is about time: 200 ms
        c.fetcher.give_back_stale()
        async with asyncio.timeout(20):
            while (await real_bench.stats()).active > 1:
                await asyncio.sleep(0.005)
        assert c.order == ["long"]
        # And: when all else has ended, it takes them itself
        c.end("long")
        await c.until(lambda: c.order == ["long", "s1"])


async def test_a_worker_that_was_declared_dead_learns_it_from_any_answer(real_bench: Bench) -> None:
    await real_bench.enqueue("a")
    await real_bench.register("w1")
    made = Crew(real_bench, 2)
    talk = asyncio.create_task(made.fetcher.run())
    await made.until(lambda: made.order == ["a"])
    await real_bench.look_until_dead("w1")
    made.end("a")
    with pytest.raises(OwnershipGone):
        await asyncio.wait_for(talk, 20)
    made.fetcher.go_quiet()
    await made.pool.close()
    await made.listening.close()
