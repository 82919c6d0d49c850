"""stats, records and policy: what people and the operator read."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.inspector import COUNTED_WORKERS, queues_known
from ferryman.manifest import Manifest, TaskManifest
from ferryman.overview import remarks
from ferryman.policy import Claim, Policy
from ferryman.protocol import Completion
from ferryman.task import TaskState
from ferryman.workers import WorkerInfo


async def test_the_json_of_stats_has_exactly_the_promised_fields(bench: Bench) -> None:
    await bench.enqueue("a")

    assert (await bench.stats()).to_json_dict() == {
        "queue": "bench", "waiting": 1, "active": 0, "delayed": 0, "blocked": 0, "dead": 0, "completed": 0, "failed": 0,
        "retried": 0, "recovered": 0, "discarded": 0, "cancelled": 0, "expired": 0, "enqueued": 1,
        "workers": 0, "parked": 0, "oldest_waiting_s": pytest.approx(0, abs=2), "unaccounted": 0,
    }  # fmt: skip


async def test_every_task_is_accounted_for_wherever_it_is(bench: Bench) -> None:
    await bench.finish("completed")
    await bench.bury("dead-1", "dead-2")
    await bench.hold_active("w", "active")
    await bench.enqueue("delayed", delay_ms=60_000)
    await bench.enqueue("handed", "waits", "cancelled")
    await bench.hand()
    await bench.enqueue("urgent", priority=1)
    await bench.run(bench.broker.cancel("cancelled"))

    stats = await bench.stats()

    assert (stats.enqueued, stats.waiting, stats.delayed, stats.active) == (9, 3, 1, 1)
    assert (stats.dead, stats.completed, stats.discarded) == (2, 1, 1)
    assert stats.unaccounted == 0


async def test_a_task_that_vanished_is_unaccounted(bench: Bench) -> None:
    await bench.enqueue("a", "b")
    await bench.write("RPOP", bench.keys.waiting)
    assert (await bench.stats()).unaccounted == 1

    await bench.write("RPUSH", bench.keys.waiting, "a")


async def test_demand_counts_what_is_due_soon_and_what_the_silent_hold(bench: Bench) -> None:
    await bench.hold_active("silent", "a", "b")
    await bench.enqueue("soon", delay_ms=15_000 + 9_000)
    await bench.enqueue("later", delay_ms=15_000 + 12_000)
    await bench.clock.advance(15_001)
    await bench.hold_active("alive", "c")

    stats = await bench.stats()
    assert (stats.workers, stats.orphaned, stats.active, stats.due_soon) == (1, 2, 3, 1)


async def crowd(bench: Bench, count: int) -> None:
    """So many workers that have been silent for long, each with nothing in hand."""
    await bench.write("ZADD", bench.keys.workers, *(word for n in range(count) for word in (1, f"idle-{n:05}")))


async def lose(bench: Bench) -> None:
    """The oldest waiting task is gone, past all scripts."""
    await bench.write("RPOP", bench.keys.waiting)


@pytest.mark.damages
async def test_of_a_thousand_workers_each_list_is_counted(bench: Bench) -> None:
    await crowd(bench, COUNTED_WORKERS - 1)
    await bench.hold_active("w", "a", "b")
    await bench.enqueue("lost", "waits")
    await lose(bench)

    stats = await bench.stats()
    assert (stats.active, stats.unaccounted, stats.workers, stats.orphaned) == (2, 1, 1, 0)


@pytest.mark.damages
async def test_of_more_workers_active_is_what_the_counters_leave_and_nothing_is_proved(bench: Bench) -> None:
    await crowd(bench, COUNTED_WORKERS)
    await bench.hold_active("w", "a", "b")
    await bench.enqueue("lost", "waits")
    await lose(bench)

    stats = await bench.stats()
    assert (stats.active, stats.unaccounted, stats.workers) == (3, None, 1)
    assert stats.to_json_dict()["unaccounted"] is None
    assert remarks(stats) == "active is not counted: more than 1,000 workers"

    exact = await bench.run(bench.inspector.stats(exact=True))
    assert (exact.active, exact.unaccounted, remarks(exact)) == (2, 1, "1 unaccounted")


@pytest.mark.damages
async def test_what_the_counters_leave_is_never_below_zero(bench: Bench) -> None:
    await crowd(bench, COUNTED_WORKERS + 1)
    await bench.enqueue("a")
    await bench.write("HDEL", bench.keys.stats, "enqueued")

    stats = await bench.stats()
    assert (stats.active, stats.unaccounted) == (0, None)


async def test_of_more_workers_the_longest_silent_are_looked_at_for_orphans(bench: Bench) -> None:
    await bench.hold_active("first-to-fall-silent", "a", "b")
    await bench.clock.advance(15_001)
    await bench.hold_active("alive", "c")
    await bench.write("ZADD", bench.keys.workers, 1, "first-to-fall-silent")
    later = [word for n in range(COUNTED_WORKERS) for word in (2, f"idle-{n:05}")]
    await bench.write("ZADD", bench.keys.workers, *later)

    stats = await bench.stats()
    assert (stats.workers, stats.orphaned, stats.active, stats.unaccounted) == (1, 2, 3, None)


@pytest.mark.parametrize("how", ["waiting", "behind a ghost", "priority", "handed"])
async def test_the_age_of_the_oldest_is_found_wherever_it_waits(bench: Bench, how: str) -> None:
    if how == "behind a ghost":
        await bench.enqueue("ghost")
        await bench.run(bench.broker.cancel("ghost"))
    await bench.enqueue("old", priority=1 if how == "priority" else 0)
    if how == "handed":
        await bench.hand()
    await bench.clock.advance(42_000)
    await bench.enqueue("young")

    assert (await bench.stats()).oldest_waiting_s == pytest.approx(42, abs=2)


async def test_an_empty_queue_has_no_oldest(bench: Bench) -> None:
    stats = await bench.stats()
    assert (stats.oldest_waiting_s, stats.next_due_ms, stats.policy_missing) == (0, None, True)


async def test_the_counters_tell_the_whole_story(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=0, error="boom", run_ms=5))
    await bench.run(bench.broker.promote())
    [held] = await bench.fetch("w")
    await bench.run(bench.broker.complete("w", [Completion("t", held.token, 7)]))

    stats = await bench.stats()
    assert (stats.completed, stats.failed, stats.retried, stats.run_ms_total) == (1, 1, 1, 12)


async def test_a_record_tells_where_a_task_is(bench: Bench) -> None:
    await bench.hold_active("w", "t", args=b'{"x":1}', unique="k")

    task = await bench.run(bench.inspector.get("t"))
    assert task
    assert (task.state, task.worker, task.args, task.unique, task.deliveries) == ("active", "w", b'{"x":1}', "k", 1)
    assert await bench.run(bench.inspector.get("nobody")) is None


async def test_tasks_of_a_state_are_listed_by_whose_turn_is_next(bench: Bench) -> None:
    await bench.bury("dead-1")
    await bench.clock.advance(5)
    await bench.bury("dead-2")
    await bench.enqueue("b", "c")
    await bench.enqueue("a", priority=1)
    await bench.enqueue("later", delay_ms=9_000)
    await bench.enqueue("sooner", delay_ms=1_000)

    async def listed(state: TaskState, limit: int = 100, offset: int = 0) -> list[str]:
        return [task.id for task in (await bench.run(bench.inspector.page(state, limit, offset))).tasks]

    assert await listed(TaskState.WAITING) == ["a", "b", "c"]
    assert await listed(TaskState.WAITING, limit=1, offset=1) == ["b"]
    assert await listed(TaskState.DELAYED) == ["sooner", "later"]
    assert await listed(TaskState.DEAD, limit=1) == ["dead-2"]
    assert await listed(TaskState.DEAD, limit=5, offset=1) == ["dead-1"]


async def test_policy_reads_back_what_was_written_and_defaults_for_the_rest(bench: Bench) -> None:
    assert await bench.run(bench.policy.read()) == Policy()

    await bench.run(bench.policy.write({"max_attempts": 9, "backoff_factor": "1.5"}, generation=4))
    await bench.run(bench.policy.hold(True))

    assert await bench.run(bench.policy.read()) == Policy(hold=True, generation=4, max_attempts=9, backoff_factor=1.5)
    assert (await bench.stats()).policy_missing is False
    with pytest.raises(ValueError, match="no such policy field: typo"):
        bench.policy.write({"typo": 1}, 5)


async def test_damaged_policy_fields_keep_their_defaults() -> None:
    assert Policy.from_config({"max_attempts": "x", "completed_ms": "inf", "dead_ms": ""}) == Policy()


async def test_a_queue_has_one_owner_until_the_claim_ends(bench: Bench) -> None:
    one, two = Claim("c", "ns-1", "emails", "uid-1"), Claim("c", "ns-2", "emails", "uid-2")
    assert (await bench.run(bench.policy.claim(one, 10_000))).granted
    refused = await bench.run(bench.policy.claim(two, 10_000))
    assert (refused.granted, refused.owner) == (False, "c/ns-1/emails")
    assert not await bench.run(bench.policy.release("uid-2"))

    await bench.clock.advance(10_001)
    assert (await bench.run(bench.policy.claim(two, 10_000))).granted
    assert await bench.run(bench.policy.release("uid-2"))
    assert (await bench.run(bench.policy.claim(one, 10_000))).granted


async def test_workers_publish_what_they_can_run(bench: Bench) -> None:
    entry = TaskManifest("send", {"type": "object"}, max_attempts=3, app="acme.tasks")
    info = WorkerInfo("w", "", "pod", 15_000, 1_000, 1, "acme.tasks", "1")
    await bench.run(bench.workers.register(info, Manifest("acme.tasks", {"send": entry})))

    assert await bench.run(bench.inspector.manifest()) == {"send": entry}


async def test_queues_are_known_once_announced(bench: Bench) -> None:
    await bench.run(bench.broker.announce())

    assert await bench.run(queues_known()) == ["bench"]
