"""expire: nobody runs a task whose deadline has passed: fetch drops it, and the scheduler what no worker fetches."""

from __future__ import annotations

import pytest
from ferryman_bench import MOMENT, Bench

from ferryman.errors import BrokerRefused
from ferryman.protocol import Completion
from ferryman.terms import Terms

MINUTE = Terms(expires_ms=60_000).encode()

EXPIRED = {
    "state": "discarded",
    "why": "expired",
    "error": "its deadline passed before a worker ran it",
    "finished_ms": MOMENT,
    "args": None,
    "marks": None,
    "expires_ms": None,
}


async def test_fetch_drops_what_has_expired_and_takes_what_has_not(bench: Bench) -> None:
    await bench.register("w", timeout_ms=600_000)
    await bench.enqueue("old", "old-too", terms=MINUTE)
    await bench.clock.advance(30_000)
    await bench.enqueue("young", terms=MINUTE)
    await bench.clock.advance(30_001)

    async with bench.changes() as changes:
        assert [d.id for d in await bench.fetch("w", 5)] == ["young"]

    assert changes["task:old"] == EXPIRED
    assert changes["completed"] == ["old", "old-too"]
    assert changes["expiring"] == ["young"]
    stats = await bench.stats()
    assert (stats.discarded, stats.expired, stats.active, stats.unaccounted) == (2, 2, 1, 0)


async def test_what_no_worker_fetches_expires_all_the_same(bench: Bench) -> None:
    await bench.enqueue("waits", terms=MINUTE)
    await bench.enqueue("ranked", terms=MINUTE, priority=3)
    await bench.enqueue("delayed", terms=MINUTE, delay_ms=600_000)
    await bench.enqueue("lasting")
    await bench.clock.advance(60_001)

    expired = await bench.run(bench.broker.expire())

    assert (expired.count, expired.seen, expired.next_ms) == (3, 3, None)
    stats = await bench.stats()
    assert (stats.waiting, stats.delayed, stats.discarded, stats.expired) == (1, 0, 3, 3)
    assert stats.unaccounted == 0
    await bench.register("w")
    assert [d.id for d in await bench.fetch("w", 9)] == ["lasting"]
    assert (await bench.stats()).unaccounted == 0


async def test_a_batch_is_bounded_and_says_when_the_next_is_due(bench: Bench) -> None:
    await bench.enqueue("a", "b", "c", terms=MINUTE)
    await bench.clock.advance(60_001)
    await bench.enqueue("later", terms=MINUTE)

    first = await bench.run(bench.broker.expire(2))
    second = await bench.run(bench.broker.expire(2))

    assert (first.count, second.count) == (2, 1)
    assert second.next_ms is not None
    assert 59_000 < second.next_ms - second.now_ms <= 60_000


async def test_a_task_that_runs_does_not_expire_but_does_so_when_it_waits_again(bench: Bench) -> None:
    await bench.register("w", timeout_ms=600_000)
    await bench.enqueue("t", terms=MINUTE)
    await bench.fetch("w")
    await bench.clock.advance(60_001)
    assert (await bench.run(bench.broker.expire())).count == 0
    assert (await bench.stats()).active == 1

    await bench.run(bench.broker.retry("w", "t", 1, delay_ms=1))
    await bench.clock.advance(30_000)
    assert (await bench.run(bench.broker.expire())).count == 1
    assert (await bench.stats()).unaccounted == 0


async def test_an_end_takes_the_deadline_with_it_and_a_revived_task_has_none(bench: Bench) -> None:
    await bench.register("w", timeout_ms=600_000)
    await bench.enqueue("done", "dead", terms=MINUTE)
    await bench.fetch("w", 2)
    await bench.run(bench.broker.complete("w", [Completion("done", 1)]))
    await bench.run(bench.broker.dead_letter("w", "dead", 1, error="no"))
    assert "expiring" not in await bench.snapshot()

    await bench.clock.advance(60_001)
    await bench.run(bench.broker.revive())
    assert [d.id for d in await bench.fetch("w")] == ["dead"]


async def test_an_expired_task_gives_its_unique_key_free(bench: Bench) -> None:
    await bench.enqueue("t", terms=MINUTE, unique="key")
    await bench.clock.advance(60_001)
    await bench.run(bench.broker.expire())
    assert "unique:key" not in await bench.snapshot()


@pytest.mark.damages
async def test_damage_in_what_expiry_writes_refuses_it_as_a_whole(bench: Bench) -> None:
    await bench.enqueue("t", terms=MINUTE)
    await bench.register("w", timeout_ms=600_000)
    await bench.clock.advance(60_001)
    await bench.write("HSET", bench.keys.stats, "expired", "x")
    before = await bench.snapshot()

    for call in (bench.broker.expire(), bench.broker.fetch("w", 1)):
        with pytest.raises(BrokerRefused):
            await bench.run(call)

    assert await bench.snapshot() == before
