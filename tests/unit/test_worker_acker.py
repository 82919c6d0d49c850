"""Outcomes on their way to Redis: batches, lost replies, broken data, and the end of ownership."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench import Bench
from ferryman_worker.acker import Acker, OwnershipGone
from ferryman_worker.counters import Counters
from ferryman_worker.outcome import DeadLetter, Park, RetryLater

from ferryman.cause import Cause
from ferryman.errors import BrokerRefused, BrokerUnavailable
from ferryman.protocol import Delivery


def make(bench: Bench) -> Acker:
    counters = Counters(bench.name)
    counters.know("echo")
    return Acker(counters)


async def flush(acker: Acker, bench: Bench, worker: str = "w1") -> list[Any]:
    batch = acker.take()
    replies = await bench.link.run_all(batch.calls(bench.broker, worker))
    acker.settle(batch, replies)
    return replies


async def where(bench: Bench) -> dict[str, list[str]]:
    """Ids by the place they are in."""
    snapshot = await bench.snapshot()
    places = ("waiting", "active:w1", "delayed", "dead", "completed")
    return {place: sorted(snapshot[place]) for place in places if place in snapshot}


async def test_every_kind_of_outcome_goes_where_it_belongs_in_one_round_trip(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b", "c", "d", "e", "f")
    acker.complete(held[0], 0.1, b"")
    acker.complete(held[1], 0.1, b"")
    acker.fail(held[2], RetryLater(1_000, True, "no"), 0.1)
    acker.fail(held[3], DeadLetter("no"), 0.1)
    acker.fail(held[4], Park(5_000, "who?"), 0.0)
    acker.give_back([held[5]])
    assert acker.count == 6
    await flush(acker, bench)
    assert acker.count == 0
    assert await where(bench) == {"waiting": ["f"], "delayed": ["c", "e"], "dead": ["d"], "completed": ["a", "b"]}


async def test_what_went_back_stands_first_again_in_its_old_order(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b")
    await bench.enqueue("c")
    acker.give_back(held)
    await flush(acker, bench)
    assert (await bench.snapshot())["waiting"] == ["a", "b", "c"]


def test_what_only_redis_knew_of_counts_as_recovered_from_a_lost_fetch() -> None:
    counters = Counters("bench")
    counters.know()
    Acker(counters).give_back_unknown([("a", 1), ("b", 7)])
    assert counters.recovered.to_waiting[Cause.LOST_FETCH] == 2
    assert counters.of("?").requeued == 2


async def test_a_resend_after_a_lost_reply_is_harmless_and_counted(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b")
    acker.complete(held[0], 0.1, b"")
    acker.fail(held[1], RetryLater(0, True, "no"), 0.1)
    lost = acker.take()
    await bench.link.run_all(lost.calls(bench.broker, "w1"))  # applied, and the reply lost
    acker.restore(lost)
    async with bench.changes() as changes:
        await flush(acker, bench)
    assert changes == {}
    assert acker.count == 0
    assert acker._counters.stale_outcomes == 2


async def test_an_outcome_without_an_answer_is_kept_with_its_place(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b")
    acker.complete(held[0], 0.1, b"")
    acker.fail(held[1], DeadLetter("no"), 0.1)
    batch = acker.take()
    replies = await bench.link.run_all(batch.calls(bench.broker, "w1"))
    with pytest.raises(BrokerUnavailable):
        acker.settle(batch, [replies[0], BrokerUnavailable("lost")])
    assert list(acker.held()) == [(held[1].id, held[1].token)]
    await flush(acker, bench)
    assert acker.count == 0


async def test_outcomes_that_came_during_the_round_trip_wait_for_the_next_one(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b")
    acker.complete(held[0], 0.1, b"")
    batch = acker.take()
    acker.complete(held[1], 0.1, b"")
    assert sorted(acker.held()) == [("a", held[0].token), ("b", held[1].token)]
    acker.settle(batch, await bench.link.run_all(batch.calls(bench.broker, "w1")))
    assert list(acker.held()) == [("b", held[1].token)]


async def test_a_worker_that_was_declared_dead_is_told_so(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a")
    await bench.look_until_dead("w1")
    acker.complete(held[0], 0.1, b"")
    with pytest.raises(OwnershipGone):
        await flush(acker, bench)
    assert acker.drop() == 1
    assert (acker.count, list(acker.held())) == (0, [])
    assert (await where(bench))["waiting"] == ["a"]


class Refusing:
    """Answers a batch with a refusal as long as the poisoned id is in it."""

    def __init__(self, bench: Bench, poisoned: str) -> None:
        self._bench = bench
        self._poisoned = poisoned

    async def flush(self, acker: Acker) -> None:
        batch = acker.take()
        replies = [
            BrokerRefused("WRONGTYPE") if self._poisoned in call.args else await self._bench.run(call)
            for call in batch.calls(self._bench.broker, "w1")
        ]
        acker.settle(batch, replies)


async def test_one_broken_task_does_not_hold_back_its_neighbours(bench: Bench) -> None:
    acker = make(bench)
    held = await bench.hold_active("w1", "a", "b", "c")
    for delivery in held:
        acker.complete(delivery, 0.1, b"")
    redis = Refusing(bench, "b")
    with pytest.raises(BrokerRefused):
        await redis.flush(acker)
    for _ in range(3):
        await redis.flush(acker)
    assert acker.count == 0
    assert (await where(bench)) == {"completed": ["a", "c"], "active:w1": ["b"]}
    assert list(acker.held()) == [("b", held[1].token)], "it is known, so nobody takes it for a lost fetch"


def test_a_batch_is_bounded() -> None:
    acker = Acker(Counters("q"))
    for i in range(1_000):
        acker.complete(Delivery(f"t{i}", "echo", b"{}", b"", 1, 1, 0, 0, False, 0, 0), 0.0, b"")
    assert acker.take().size == 100
    assert acker.count == 900
