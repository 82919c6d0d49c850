"""Priorities: a ZSET beside the list, and a marker in the list for each of its tasks."""

from __future__ import annotations

from ferryman_bench import Bench

from ferryman.new_task import NewTask
from ferryman.task import TaskState


async def order(bench: Bench, worker: str = "w") -> list[str]:
    """Ids in the order in which single fetches give them out; a fetch that meets a ghost gives none."""
    await bench.register(worker)
    ids: list[str] = []
    while (await bench.stats()).waiting:
        ids += [task.id for task in await bench.fetch(worker)]
    return ids


async def test_higher_priorities_run_first_and_equal_ones_in_the_order_they_came(bench: Bench) -> None:
    await bench.enqueue("plain-1")
    await bench.enqueue("low-1", "low-2", priority=1)
    await bench.enqueue("high-1", "high-2", priority=9)
    await bench.enqueue("plain-2")

    assert (await bench.stats()).waiting == 6
    assert await order(bench) == ["high-1", "high-2", "low-1", "low-2", "plain-1", "plain-2"]


async def test_a_negative_priority_does_not_overtake_what_waits(bench: Bench) -> None:
    await bench.enqueue("plain")
    await bench.enqueue("lowest", priority=-5)
    await bench.enqueue("high", priority=5)

    assert await order(bench) == ["high", "plain", "lowest"]


async def test_a_batch_takes_the_priority_tasks_first(bench: Bench) -> None:
    await bench.enqueue("plain")
    await bench.enqueue("p1", "p2", priority=3)
    await bench.register("w")

    async with bench.changes() as changes:
        taken = await bench.fetch("w", 10)

    assert [task.id for task in taken] == ["p1", "p2", "plain"]
    assert changes["waiting"] is None
    assert changes["priority"] is None
    assert changes["active:w"] == ["p1", "p2", "plain"]


async def test_a_handed_marker_gives_the_first_of_the_priority_set(bench: Bench) -> None:
    await bench.enqueue("plain")
    await bench.enqueue("urgent", priority=1)
    await bench.register("w")

    assert await bench.hand() == "*"
    assert [task.id for task in await bench.fetch("w", 1, "*")] == ["urgent"]


async def test_a_surplus_marker_counts_as_nothing(bench: Bench) -> None:
    await bench.enqueue("gone", "stays", priority=1)
    await bench.run(bench.broker.cancel("gone"))
    seen = await bench.snapshot()
    assert (seen["waiting"], seen["priority"], seen["stats"]["ghosts"]) == (["*", "*"], ["stays"], "1")
    assert (await bench.stats()).waiting == 1

    assert await order(bench) == ["stays"]
    assert await bench.fetch("w") == []
    assert (await bench.snapshot())["stats"]["ghosts"] == "0"


async def test_a_task_of_priority_keeps_it_through_requeue_retry_and_recovery(bench: Bench) -> None:
    await bench.enqueue("a", "b", "c", priority=4)
    await bench.register("w")
    a, b, _ = await bench.fetch("w", 3)
    await bench.enqueue("plain")
    await bench.run(bench.broker.requeue("w", [("a", a.token)]))
    await bench.run(bench.broker.retry("w", "b", b.token, delay_ms=0))
    await bench.run(bench.broker.promote())
    await bench.look_until_dead("w")

    assert await order(bench, "next") == ["a", "b", "c", "plain"]


async def test_a_delayed_task_enters_by_its_priority(bench: Bench) -> None:
    await bench.enqueue("low", priority=-1, delay_ms=5)
    await bench.enqueue("high", priority=1, delay_ms=5)
    await bench.enqueue("plain")
    await bench.clock.advance(10)
    await bench.run(bench.broker.promote())

    assert await order(bench) == ["high", "plain", "low"]


async def test_an_id_that_comes_back_with_a_priority_while_its_ghost_still_waits(bench: Bench) -> None:
    await bench.enqueue("front", "x", "back")
    await bench.run(bench.broker.cancel("x"))
    await bench.run(bench.broker.enqueue([NewTask("x", "echo", b"{}", priority=2)]))
    assert (await bench.snapshot())["waiting"] == ["*", "front", "x", "back"]
    assert (await bench.stats()).waiting == 3

    assert await order(bench) == ["x", "front", "back"]
    await bench.fetch("w", 10)
    seen = await bench.snapshot()
    assert "waiting" not in seen
    assert "priority" not in seen
    assert seen["stats"]["ghosts"] == "0"


async def test_a_ghost_is_not_taken_for_a_later_task_of_its_id_that_has_a_marker_behind_it(bench: Bench) -> None:
    """Taken by the ghost, it stayed in `priority`; when its marker was discarded, the next task's marker led to it."""
    await bench.enqueue("x")
    await bench.run(bench.broker.cancel("x"))
    await bench.enqueue("x", priority=-1)
    await bench.register("w")

    assert await bench.fetch("w") == []
    assert [task.id for task in await bench.fetch("w")] == ["x"]
    seen = await bench.snapshot()
    assert "waiting" not in seen
    assert "priority" not in seen
    assert seen["stats"]["ghosts"] == "0"


async def test_a_task_is_not_stranded_behind_one_that_was_taken_by_its_ghost(bench: Bench) -> None:
    await bench.enqueue("x")
    await bench.run(bench.broker.cancel("x"))
    await bench.enqueue("x", priority=-1)
    await bench.register("w")
    taken = await bench.fetch("w")
    await bench.run(bench.broker.discard(TaskState.WAITING))
    await bench.enqueue("y", priority=-1)

    assert [task.id for task in taken + await bench.fetch("w", 10)] == ["y"]
    assert (await bench.stats()).waiting == 0


async def test_discarding_from_the_front_follows_the_markers(bench: Bench) -> None:
    await bench.enqueue("plain")
    await bench.enqueue("p1", "p2", priority=1)

    moved = await bench.run(bench.broker.discard(TaskState.WAITING, limit=2))

    assert (moved.ids, moved.left) == (["p1", "p2"], 1)
    assert "priority" not in await bench.snapshot()
