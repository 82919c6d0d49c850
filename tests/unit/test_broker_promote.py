"""promote: delayed and due -> waiting, in the order of their due times, in bounded steps."""

from __future__ import annotations

from typing import Any

from ferryman_bench import Bench


async def test_what_is_due_goes_to_the_back_in_the_order_of_its_due_time(bench: Bench) -> None:
    await bench.enqueue("second", delay_ms=2_000)
    await bench.enqueue("first", delay_ms=1_000)
    await bench.enqueue("later", delay_ms=60_000)
    await bench.enqueue("waits")
    await bench.clock.advance(3_000)

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.promote())

    assert reply.count == 2
    assert changes == {
        "delayed": ["later"],
        "waiting": ["waits", "first", "second"],
        "task:first": {"state": "waiting"},
        "task:second": {"state": "waiting"},
    }


async def test_nothing_due_changes_nothing(bench: Bench) -> None:
    await bench.enqueue("later", delay_ms=60_000)

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.promote())

    assert reply.count == 0
    assert changes == {}


async def test_an_empty_queue_has_no_next(bench: Bench) -> None:
    reply = await bench.run(bench.broker.promote())
    assert (reply.count, reply.next_due_ms, reply.lag_ms) == (0, None, 0)


async def test_the_reply_tells_the_next_due_time_and_the_lag(fake_bench: Bench, frozen_clock: Any) -> None:
    start = frozen_clock.now_ms
    await fake_bench.enqueue("a", delay_ms=100)
    await fake_bench.enqueue("b", delay_ms=900)
    await frozen_clock.advance(350)

    reply = await fake_bench.run(fake_bench.broker.promote())

    assert (reply.count, reply.next_due_ms, reply.lag_ms, reply.now_ms) == (1, start + 900, 250, start + 350)


async def test_a_storm_is_promoted_in_bounded_steps(bench: Bench) -> None:
    await bench.enqueue(*(f"t{n:03}" for n in range(25)), delay_ms=1)
    await bench.clock.advance(10)

    counts = [(await bench.run(bench.broker.promote(limit=10))).count for _ in range(4)]

    assert counts == [10, 10, 5, 0]
    assert (await bench.snapshot())["waiting"] == [f"t{n:03}" for n in range(25)]


async def test_a_parked_task_is_counted_while_it_is_delayed_and_remembers_how_often(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=100, spend=False, park=True))
    stats = await bench.stats()
    assert (stats.parked, stats.delayed, stats.retried, stats.failed) == (1, 1, 0, 0)

    await bench.clock.advance(200)
    await bench.run(bench.broker.promote())

    assert (await bench.stats()).parked == 0
    [again] = await bench.fetch("w")
    assert (again.parks, again.attempt) == (1, 1)


async def test_a_record_that_is_no_hash_does_not_hold_up_those_behind_it(bench: Bench) -> None:
    await bench.enqueue("broken", delay_ms=1)
    await bench.enqueue("sound", delay_ms=2)
    await bench.write("DEL", bench.keys.task + "broken")
    await bench.write("SET", bench.keys.task + "broken", "no hash")
    await bench.clock.advance(10)

    assert (await bench.run(bench.broker.promote())).count == 1

    seen = await bench.snapshot()
    assert (seen["waiting"], seen["dead"]) == (["sound"], ["broken"])
