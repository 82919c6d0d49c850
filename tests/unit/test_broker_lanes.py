"""Lanes: a few of each stand in waiting at a time, and limits hold back the rest as blocked."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench import Bench

from ferryman.protocol import Completion, Delivery
from ferryman.task import TaskState
from ferryman.terms import Terms


def lane(name: str) -> bytes:
    return Terms(lane=name).encode()


async def fill(bench: Bench, name: str, count: int, **fields: Any) -> None:
    await bench.enqueue(*(f"{name}-{n}" for n in range(count)), terms=lane(name), **fields)


async def limit(bench: Bench, **fields: int) -> None:
    await bench.run(bench.policy.write(fields, 1))


async def finish(bench: Bench, *held: Delivery, worker: str = "w") -> None:
    await bench.run(bench.broker.complete(worker, [Completion(d.id, d.token) for d in held]))


async def states(bench: Bench) -> tuple[int, int, int]:
    """Waiting, blocked, active."""
    stats = await bench.stats()
    return stats.waiting, stats.blocked, stats.active


async def test_a_million_of_one_tenant_let_ten_of_another_by(bench: Bench) -> None:
    await bench.register("w")
    await fill(bench, "big", 100)
    await fill(bench, "small", 10)

    taken = [d.id for _ in range(40) for d in await bench.fetch("w")]

    # Behind the ten of "big" that stood in waiting when they came, and then in turns.
    assert {f"small-{n}" for n in range(10)} <= set(taken[:30])
    assert [one for one in taken if one.startswith("small")] == [f"small-{n}" for n in range(10)]
    assert [one for one in taken if one.startswith("big")] == [f"big-{n}" for n in range(30)]


async def test_a_lane_runs_no_more_at_once_than_its_concurrency(bench: Bench) -> None:
    await limit(bench, lane_concurrency=2)
    await bench.register("w")
    await fill(bench, "a", 5)
    await fill(bench, "b", 1)

    held = await bench.fetch("w", 10)

    assert [d.id for d in held] == ["a-0", "a-1", "b-0"]
    assert await states(bench) == (0, 3, 3)

    await finish(bench, held[0])
    assert await states(bench) == (1, 2, 2)
    assert [d.id for d in await bench.fetch("w", 10)] == ["a-2"]


@pytest.mark.parametrize("how", ["complete", "dead_letter", "retry"])
async def test_every_exit_gives_the_place_to_the_next(bench: Bench, how: str) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 2)
    [held] = await bench.fetch("w", 10)

    if how == "complete":
        await finish(bench, held)
    elif how == "dead_letter":
        await bench.run(bench.broker.dead_letter("w", held.id, held.token, error="no"))
    else:
        await bench.run(bench.broker.retry("w", held.id, held.token, delay_ms=1_000))

    assert [d.id for d in await bench.fetch("w", 10)] == ["a-1"]


async def test_what_goes_back_to_waiting_keeps_its_place(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 2)
    [held] = await bench.fetch("w", 10)

    await bench.run(bench.broker.requeue("w", [(held.id, held.token)]))
    assert await states(bench) == (1, 1, 0)
    assert [d.id for d in await bench.fetch("w", 10)] == ["a-0"]


async def test_a_dead_workers_places_come_back_with_its_tasks(bench: Bench) -> None:
    await limit(bench, lane_concurrency=2)
    await bench.register("gone")
    await fill(bench, "a", 5)
    await bench.fetch("gone", 10)

    assert await bench.look_until_dead("gone") == (2, 0, 0)

    await bench.register("w")
    assert [d.id for d in await bench.fetch("w", 1)] == ["a-0"]
    assert await states(bench) == (1, 3, 1)


async def test_a_retry_passes_its_lane_again(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 2)
    [first] = await bench.fetch("w", 10)
    await bench.run(bench.broker.retry("w", first.id, first.token, delay_ms=10))
    [second] = await bench.fetch("w", 10)
    await bench.clock.advance(20)

    await bench.run(bench.broker.promote())
    assert await states(bench) == (0, 1, 1)

    await finish(bench, second)
    assert [d.id for d in await bench.fetch("w", 10)] == ["a-0"]


async def test_a_revived_task_passes_its_lane_again(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 2)
    [first] = await bench.fetch("w", 10)
    await bench.run(bench.broker.dead_letter("w", first.id, first.token, error="no"))
    [second] = await bench.fetch("w", 10)

    await bench.run(bench.broker.revive())
    assert await states(bench) == (0, 1, 1)

    await finish(bench, second)
    assert [d.id for d in await bench.fetch("w", 10)] == ["a-0"]


async def test_cancelled_ones_leave_their_lane(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 4)

    assert await bench.run(bench.broker.cancel("a-1")) == "discarded"  # blocked
    assert await bench.run(bench.broker.cancel("a-0")) == "discarded"  # has the place, and waits
    assert await states(bench) == (1, 1, 0)

    taken = [d.id for _ in range(3) for d in await bench.fetch("w")]
    assert taken == ["a-2"]


async def test_purging_a_lane_leaves_nothing(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await fill(bench, "a", 30)

    await bench.run(bench.broker.discard(TaskState.BLOCKED))
    await bench.run(bench.broker.discard(TaskState.WAITING))

    assert await states(bench) == (0, 0, 0)
    assert not {key for key in await bench.snapshot() if key.startswith(("lane", "places"))}


async def test_within_a_lane_priorities_count(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 3)
    await bench.enqueue("urgent", terms=lane("a"), priority=5)

    taken = []
    for _ in range(4):
        [held] = await bench.fetch("w", 10)
        taken.append(held.id)
        await finish(bench, held)

    assert taken == ["a-0", "urgent", "a-1", "a-2"]


async def test_a_delayed_task_comes_to_its_lane_when_it_is_due(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.register("w")
    await fill(bench, "a", 1)
    await bench.enqueue("later", terms=lane("a"), delay_ms=50)
    await bench.clock.advance(60)

    assert (await bench.run(bench.broker.promote())).count == 1
    assert await states(bench) == (1, 1, 0)


async def test_a_lanes_rate_is_exact_and_promote_lets_the_next_in(bench: Bench) -> None:
    await limit(bench, lane_rate_count=2, lane_rate_ms=10_000)
    await bench.register("w")
    await fill(bench, "a", 5)
    await fill(bench, "b", 1)

    assert [d.id for d in await bench.fetch("w", 10)] == ["a-0", "a-1", "b-0"]
    assert await bench.fetch("w", 10) == []
    promoted = await bench.run(bench.broker.promote())
    assert promoted.next_due_ms is not None
    assert 9_000 < promoted.next_due_ms - promoted.now_ms <= 10_000
    assert await states(bench) == (0, 3, 3)

    await bench.clock.advance(10_001)
    await bench.run(bench.broker.promote())
    assert [d.id for d in await bench.fetch("w", 10)] == ["a-2", "a-3"]
    assert await bench.fetch("w", 10) == []


async def test_starts_are_counted_when_they_are_fetched_not_when_they_came(bench: Bench) -> None:
    await limit(bench, lane_rate_count=2, lane_rate_ms=10_000)
    await fill(bench, "a", 5)
    await bench.clock.advance(20_000)  # nobody worked
    await bench.run(bench.broker.promote())
    await bench.register("w")

    assert [d.id for d in await bench.fetch("w", 10)] == ["a-0", "a-1"]
    assert await bench.fetch("w", 10) == []


async def test_a_queues_rate_holds_for_all_its_tasks_and_lanes_take_turns_behind_it(bench: Bench) -> None:
    await limit(bench, rate_count=3, rate_ms=10_000)
    await bench.register("w")
    await bench.enqueue("plain-1", "plain-2")
    await fill(bench, "a", 20)
    await fill(bench, "b", 2)

    assert len(await bench.fetch("w", 10)) == 3
    assert await bench.fetch("w", 10) == []
    for _ in range(10):
        await bench.clock.advance(10_001)
        await bench.run(bench.broker.promote())
        assert len(await bench.fetch("w", 10)) <= 3
    assert await states(bench) == (0, 0, 24)


async def test_a_rate_that_comes_later_holds_for_what_waits_already(bench: Bench) -> None:
    await bench.register("w")
    await bench.enqueue(*(f"plain-{n}" for n in range(5)))
    await limit(bench, rate_count=2, rate_ms=10_000)

    taken = [d.id for _ in range(4) for d in await bench.fetch("w", 5)]
    assert taken == ["plain-0", "plain-1"]
    assert await states(bench) == (0, 3, 2)


async def test_what_the_code_says_counts_before_what_the_taskqueue_says(bench: Bench) -> None:
    await limit(bench, lane_concurrency=1)
    await bench.write("HSET", bench.keys.config, "code_lane_concurrency", 3)
    await bench.register("other")
    await fill(bench, "a", 5)
    # A registration says what its code says, and this code says nothing.
    assert await states(bench) == (1, 4, 0)
