"""Redis comes and goes, connections are half open, and replies are lost, under whole worker processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ferryman_yard.half_open import HAND_OVER, relayed, word_of
from ferryman_yard.yard import Yard, yard_on


async def test_redis_restarts_under_load_and_no_worker_does(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    async with yard_on(server.url, tmp_path) as yard:
        worker = await yard.worker()
        ids = [f"t{i}" for i in range(3_000)]
        for i in range(0, 3_000, 500):
            await yard.enqueue(*ids[i : i + 500], name="note")
        await yard.until(lambda: yard.lines("note"))
        server.kill()
        server.start()
        await yard.until_stats(completed=3_000, active=0, waiting=0)
        assert {words[0] for words in yard.lines("note")} == set(ids)
        assert (await yard.bench.stats()).unaccounted == 0
        assert worker.running
        assert worker.said().count("serving queue") == 1


async def test_a_worker_that_starts_before_redis_waits_for_it(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    server = start_redis()
    server.kill()
    async with yard_on(server.url, tmp_path) as yard:
        worker = yard.start()
        await yard.until(lambda: "can't register yet" in worker.said())
        server.start()
        await yard.enqueue("a", name="note")
        await yard.until_stats(completed=1)


async def test_replies_that_are_lost_all_the_time_lose_nothing(yard: Yard) -> None:
    async with relayed(yard) as relay, yard.recoverer():
        worker = await yard.worker()
        ids = [f"t{i}" for i in range(500)]
        for start in range(0, 500, 50):
            relay.lose_replies()
            await yard.enqueue(*ids[start : start + 50], name="note")
            await relay.lost_reply()
            relay.heal()
        await yard.until_stats(completed=500, active=0, waiting=0)
    assert relay.lost_replies >= 10
    assert {words[0] for words in yard.lines("note")} == set(ids)
    assert worker.running
    assert worker.said().count("serving queue") == 1


async def test_what_arrives_late_through_half_open_connections_strands_nothing(yard: Yard) -> None:
    """All connections freeze, the worker makes new ones, and then the old words arrive: a BLMOVE, fetches, outcomes."""
    async with relayed(yard) as relay, yard.recoverer():
        worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="4s")
        await yard.enqueue(*[f"a{i}" for i in range(40)], name="nap", args='{"seconds": 0.1}')
        await yard.until(lambda: len(yard.lines("end")) >= 10)
        relay.freeze(newcomers=False)
        await yard.enqueue(*[f"b{i}" for i in range(40)], name="nap", args='{"seconds": 0.1}')
        await yard.until(lambda: any(id.startswith("b") for [id] in yard.lines("end")))
        await relay.thaw()
        await yard.until_stats(completed=80, active=0, waiting=0)
    assert len({id for [id] in yard.lines("end")}) == 80
    assert worker.running


@pytest.mark.parametrize("then", ["lives", "stopped", "dead"])
async def test_a_fetch_and_a_hand_over_that_are_applied_late_find_their_worker_in_any_state(
    yard: Yard, then: str
) -> None:
    """Both connections are half open: who spoke through them has gone on, when Redis hears it at last."""
    async with relayed(yard) as relay, yard.recoverer():
        fetch, hand_over = relay.hold_back(word_of("fetch")), relay.hold_back(HAND_OVER)
        first = await yard.worker(FERRYMAN_WORKER_TIMEOUT="3s")
        await fetch.given_up()
        await hand_over.caught()
        if then == "lives":
            await hand_over.given_up()
            await yard.enqueue_wait(*[f"w{i}" for i in range(10)])  # it has no free slot: what comes, came by accident
            await yard.until(lambda: len(yard.lines("start")) == 10)
        elif then == "stopped":
            first.signal(signal.SIGTERM)
            assert await yard.exit_code(first) == 0
        else:
            first.signal(signal.SIGKILL)

            async def declared() -> bool:
                return not await yard.bench.run(yard.bench.workers.list())

            await yard.until(declared)
        await hand_over.given_up()

        await yard.enqueue("fetched", name="note")
        answer = await fetch.let_go()
        if then == "lives":
            assert b"fetched" in answer
            await yard.until(lambda: "found 1 tasks whose fetch was never answered" in first.said())
        else:
            assert b"unregistered" in answer
        await yard.until_stats(waiting=1, active=10 if then == "lives" else 0)
        await yard.enqueue("handed", name="note")
        assert b"fetched" in await hand_over.let_go()
        await yard.worker()
        await yard.until(lambda: len(yard.lines("note")) == 2)
        yard.gate.touch()
        await yard.until_stats(completed=12 if then == "lives" else 2, active=0, waiting=0)
    assert sorted(id for id, *_ in yard.lines("note")) == ["fetched", "handed"]


async def test_a_retry_whose_reply_was_lost_is_sent_again_while_the_same_worker_runs_the_next_delivery(
    yard: Yard,
) -> None:
    """The resend is fenced by its token: it stops nobody, and is counted."""
    bench = yard.bench
    await bench.run(bench.broker.retry("nobody", "a", 1, delay_ms=0, error="so that Redis knows the script"))
    async with relayed(yard) as relay:
        retry = relay.hold_reply(word_of("retry"))
        worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="40s")  # it waits for a reply for a quarter of that
        await yard.enqueue_wait("a", name="fail_once")
        await yard.until_stats(delayed=1, active=0)
        given_up = asyncio.create_task(retry.given_up())
        await bench.clock.advance(60_000)
        await bench.run(bench.broker.promote())
        await yard.until(lambda: len(yard.lines("start")) == 2)
        assert not given_up.done(), "it still waits to hear of the first delivery"
        assert await yard.metric(worker, "ferryman_stale_outcomes_total") == 0
        await given_up

        async def counted() -> bool:
            return await yard.metric(worker, "ferryman_stale_outcomes_total") == 1

        await yard.until(counted)
        assert (await bench.stats()).active == 1
        yard.gate.touch()
        await yard.until_stats(completed=1, active=0, delayed=0)
    assert [attempt for *_, attempt in yard.lines("start")] == ["1", "2"]
    assert worker.said().count("serving queue") == 1
