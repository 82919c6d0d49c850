"""discard, cancel and revive: what a person does to tasks that no worker holds."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.errors import BrokerRefused
from ferryman.new_task import Enqueued, NewTask
from ferryman.task import TaskState


async def test_cancel_in_the_middle_of_a_long_list_leaves_a_ghost_that_counts_as_nothing(bench: Bench) -> None:
    await bench.enqueue(*(f"t{n}" for n in range(100)))

    async with bench.changes() as changes:
        assert await bench.run(bench.broker.cancel("t50")) == "discarded"

    assert changes == {"task:t50": None, "stats": {"ghosts": "1", "discarded": "1"}}
    stats = await bench.stats()
    assert (stats.waiting, stats.discarded) == (99, 1)

    await bench.register("w")
    assert len(await bench.fetch("w", 100)) == 99
    assert (await bench.snapshot())["stats"]["ghosts"] == "0"


async def test_cancel_of_a_delayed_task(bench: Bench) -> None:
    await bench.enqueue("t", delay_ms=60_000, unique="k")

    assert await bench.run(bench.broker.cancel("t")) == "discarded"
    assert (await bench.snapshot()).keys() == {"config", "stats"}


async def test_cancel_leaves_alone_what_runs_has_ended_or_never_was(bench: Bench) -> None:
    await bench.hold_active("w", "running")
    await bench.finish("done")

    async with bench.changes() as changes:
        answers = [await bench.run(bench.broker.cancel(id)) for id in ("running", "done", "nobody")]

    assert answers == ["active", "finished", "missing"]
    assert changes == {}


async def test_cancel_of_a_handed_task_leaves_a_ghost_in_handed(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.register("w")
    await bench.hand()
    assert await bench.run(bench.broker.cancel("t")) == "discarded"
    assert (await bench.stats()).waiting == 0

    assert await bench.fetch("w", 1, "t") == []
    assert "handed" not in await bench.snapshot()


async def test_an_id_that_is_used_again_after_a_cancel_counts_once(bench: Bench) -> None:
    await bench.enqueue("a", "t", "b")
    await bench.run(bench.broker.cancel("t"))
    assert await bench.run(bench.broker.enqueue([NewTask("t", "echo", b"{}")])) == [Enqueued("t", True)]
    assert (await bench.stats()).waiting == 3
    await bench.register("w")

    assert [d.id for d in await bench.fetch("w", 10)] == ["a", "t", "b"]
    seen = await bench.snapshot()
    assert "waiting" not in seen
    assert seen["stats"]["ghosts"] == "0"


async def test_the_ghost_of_an_id_that_waits_elsewhere_again_is_not_shown_twice(bench: Bench) -> None:
    await bench.enqueue("a", "t")
    await bench.run(bench.broker.cancel("t"))
    await bench.enqueue("t")

    shown = (await bench.run(bench.inspector.page(TaskState.WAITING))).tasks
    assert [task.id for task in shown] == ["a", "t"]
    await bench.register("w")
    await bench.fetch("w", 2)
    assert (await bench.run(bench.inspector.page(TaskState.WAITING))).tasks == []


async def test_discards_of_a_state_are_bounded_and_say_what_is_left(bench: Bench) -> None:
    await bench.enqueue(*"abcde")
    await bench.run(bench.broker.cancel("b"))

    first = await bench.run(bench.broker.discard(TaskState.WAITING, limit=3))
    assert (first.ids, first.left) == (["a", "c"], 2)
    second = await bench.run(bench.broker.discard(TaskState.WAITING, limit=3))
    assert (second.ids, second.left) == (["d", "e"], 0)
    stats = await bench.stats()
    assert (stats.waiting, stats.discarded) == (0, 5)


@pytest.mark.parametrize("state", [TaskState.DELAYED, TaskState.DEAD, TaskState.COMPLETED])
async def test_discards_from_a_sorted_state_start_with_the_oldest(bench: Bench, state: TaskState) -> None:
    for id in "abc":
        if state is TaskState.DELAYED:
            await bench.enqueue(id, delay_ms=60_000)
        elif state is TaskState.DEAD:
            await bench.bury(id)
        else:
            await bench.finish(id)
        await bench.clock.advance(5)

    moved = await bench.run(bench.broker.discard(state, limit=2))

    assert (moved.ids, moved.left) == (["a", "b"], 1)
    seen = await bench.snapshot()
    assert seen[state.value] == ["c"]
    assert "task:a" not in seen
    assert (await bench.stats()).discarded == (0 if state is TaskState.COMPLETED else 2)


async def test_discard_by_id_keeps_to_its_state(bench: Bench) -> None:
    await bench.bury("dead")
    await bench.enqueue("waits")

    moved = await bench.run(bench.broker.discard(TaskState.DEAD, ["dead", "dead", "waits", "nobody"]))

    assert (moved.ids, moved.left) == (["dead"], 0)
    assert (await bench.snapshot())["waiting"] == ["waits"]


async def test_active_tasks_are_not_discarded(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    async with bench.changes() as changes:
        with pytest.raises(BrokerRefused, match="only waiting, delayed, blocked, dead and completed"):
            await bench.run(bench.broker.discard(TaskState.ACTIVE))
        assert (await bench.run(bench.broker.discard(TaskState.ACTIVE, ["t"]))).ids == []
    assert changes == {}


async def test_discarding_a_parked_task_corrects_the_count(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=60_000, spend=False, park=True))
    await bench.run(bench.broker.cancel("t"))

    assert (await bench.stats()).parked == 0


async def test_revive_gives_a_dead_task_a_fresh_budget_at_the_back(bench: Bench) -> None:
    await bench.bury("t", error="boom")
    await bench.enqueue("first")

    async with bench.changes() as changes:
        moved = await bench.run(bench.broker.revive(["t", "t", "first", "nobody"]))

    assert (moved.ids, moved.left) == (["t"], 0)
    assert changes == {
        "dead": None,
        "waiting": ["first", "t"],
        "task:t": {"state": "waiting", "attempt": None, "finished_ms": None},
        "stats": {"revived": "1"},
    }
    await bench.register("w")
    again = (await bench.fetch("w", 2))[1]
    assert (again.attempt, again.token) == (1, 2)


async def test_revive_without_ids_takes_the_oldest_up_to_the_limit(bench: Bench) -> None:
    for id in "abc":
        await bench.bury(id)
        await bench.clock.advance(5)

    moved = await bench.run(bench.broker.revive(limit=2))

    assert (moved.ids, moved.left) == (["a", "b"], 1)
    seen = await bench.snapshot()
    assert (seen["waiting"], seen["dead"]) == (["a", "b"], ["c"])


async def test_revive_takes_the_unique_key_again(bench: Bench) -> None:
    await bench.bury("t", unique="k")
    await bench.run(bench.broker.revive(["t"]))

    assert (await bench.snapshot())["unique:k"] == "t"


async def test_a_dead_task_whose_unique_key_another_holds_stays_dead(bench: Bench) -> None:
    await bench.bury("old", unique="k")
    await bench.enqueue("new", unique="k")

    async with bench.changes() as changes:
        moved = await bench.run(bench.broker.revive(["old"]))
    assert (moved.ids, moved.left) == ([], 1)
    assert changes == {}


async def test_of_two_dead_tasks_with_one_unique_key_the_first_is_revived(bench: Bench) -> None:
    await bench.bury("a", unique="k")
    await bench.clock.advance(5)
    await bench.bury("b", unique="k")

    moved = await bench.run(bench.broker.revive())
    assert (moved.ids, moved.left) == (["a"], 1)


async def test_revived_crashes_start_again_at_none(bench: Bench) -> None:
    await bench.run(bench.policy.write({"crashes_max": 1}, 1))
    await bench.hold_active("w", "t")
    assert await bench.look_until_dead("w") == (0, 1, 0)
    await bench.run(bench.broker.revive(["t"]))
    await bench.register("next")

    [task] = await bench.fetch("next")
    assert task.crashes == 0


async def test_discarding_a_dead_task_leaves_its_unique_key_to_the_new_owner(bench: Bench) -> None:
    await bench.bury("old", unique="k")
    await bench.enqueue("new", unique="k")
    await bench.run(bench.broker.discard(TaskState.DEAD, ["old"]))

    assert (await bench.snapshot())["unique:k"] == "new"
