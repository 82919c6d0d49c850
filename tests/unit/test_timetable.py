"""The timetable in Redis: each occurrence is settled once, whoever asks; and whose word counts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from ferryman_bench import Bench

from ferryman.errors import ProtocolMismatch
from ferryman.manifest import Manifest
from ferryman.schedule import Origin, Overlap, Schedule
from ferryman.timetable import Entries, Fired, Timetable
from ferryman.workers import WorkerInfo

EVERY = Schedule("beat", "echo", every_ms=10_000, args={"n": 1})


@pytest.fixture
def table(bench: Bench) -> Timetable:
    return Timetable(bench.name)


async def known(bench: Bench, next_ms: int | None = None) -> Entries:
    return await bench.run(Timetable(bench.name).agree(next_ms))


async def began(bench: Bench, schedule: Schedule = EVERY) -> int:
    """The schedule is published and begun; returns what is settled: now."""
    table = Timetable(bench.name)
    await bench.run(table.publish([schedule]))
    assert (await bench.run(table.begin(schedule))).outcome == "begun"
    settled = (await known(bench)).entries[0].settled_ms
    assert settled is not None
    return settled


async def later(bench: Bench, ms: int) -> int:
    """So much later for what is settled too; returns the new moment of an occurrence that has just come."""
    await bench.clock.advance(ms)
    return (await known(bench)).now_ms


async def test_a_new_schedule_begins_now_and_fires_nothing(bench: Bench, table: Timetable) -> None:
    async with bench.changes() as changes:
        assert await bench.run(table.begin(EVERY)) == Fired("begun")
    assert list(changes) == ["fired"]
    assert changes["fired"]["beat"].startswith(EVERY.key)


async def test_an_occurrence_becomes_a_task_and_is_settled_in_one_step(bench: Bench, table: Timetable) -> None:
    settled = await began(bench)
    now = await later(bench, 5)
    occurrence = settled + 1 if now > settled else now

    async with bench.changes() as changes:
        reply = await bench.run(table.fire(EVERY, settled, occurrence))

    assert reply.outcome == "fired"
    assert changes["waiting"] == [reply.task]
    assert changes["stats"]["enqueued"] == "1"
    task = changes[f"task:{reply.task}"]
    assert (task["name"], task["args"], task["state"]) == ("echo", '{"n":1}', "waiting")
    headers = msgspec.json.decode(task["options"])["headers"]
    assert (headers["ferryman-schedule"], reply.task) == ("beat", f"beat:{headers['ferryman-occurrence']}")
    assert changes["fired"]["beat"] == f"{EVERY.key}|{occurrence}|{occurrence}|{reply.task}"
    entry = (await known(bench)).entries[0]
    assert (entry.settled_ms, entry.fired_ms, entry.task) == (occurrence, occurrence, reply.task)


async def test_a_second_scheduler_moves_nothing(bench: Bench, table: Timetable) -> None:
    settled = await began(bench)
    await later(bench, 5)
    await bench.run(table.fire(EVERY, settled, settled + 1))

    async with bench.changes() as changes:
        assert await bench.run(table.fire(EVERY, settled, settled + 1)) == Fired("moved")
        assert await bench.run(table.fire(EVERY, settled + 1, settled + 1)) == Fired("moved")
        assert await bench.run(table.pass_over(EVERY, settled, settled + 2)) == Fired("moved")
        assert await bench.run(table.begin(EVERY)) == Fired("moved")
    assert changes == {}


async def test_an_occurrence_whose_task_is_gone_is_not_fired_again(bench: Bench, table: Timetable) -> None:
    """What is settled is no matter of the task's kept status."""
    settled = await began(bench)
    await later(bench, 5)
    reply = await bench.run(table.fire(EVERY, settled, settled + 1))
    await bench.run(bench.broker.cancel(reply.task))

    assert (await bench.run(table.fire(EVERY, settled, settled + 1))).outcome == "moved"
    assert (await bench.stats()).enqueued == 1


async def test_twenty_schedulers_at_once_fire_each_occurrence_once(bench: Bench, table: Timetable) -> None:
    schedule = msgspec.structs.replace(EVERY, every_ms=1_000)
    settled = await began(bench, schedule)
    await later(bench, 5)

    async def scheduler() -> list[str]:
        outcomes, at = [], settled
        for occurrence in range(settled + 1, settled + 5):
            outcomes.append((await bench.run(table.fire(schedule, at, occurrence))).outcome)
            at = occurrence
        return outcomes

    said = await asyncio.gather(*(scheduler() for _ in range(20)))
    assert sum(outcomes.count("fired") for outcomes in said) == 4
    assert sum(outcomes.count("moved") for outcomes in said) == 76
    assert (await bench.stats()).waiting == 4


async def test_an_occurrence_that_has_not_come_by_redis_clock_is_not_fired(bench: Bench, table: Timetable) -> None:
    """A scheduler whose clock is ahead."""
    settled = await began(bench)
    async with bench.changes() as changes:
        assert (await bench.run(table.fire(EVERY, settled, settled + 60_000))).outcome == "early"
    assert changes == {}


async def test_an_occurrence_may_pass_without_a_task(bench: Bench, table: Timetable) -> None:
    settled = await began(bench)
    await later(bench, 5)
    async with bench.changes() as changes:
        assert await bench.run(table.pass_over(EVERY, settled, settled + 1)) == Fired("passed")
    assert changes == {"fired": {"beat": f"{EVERY.key}|{settled + 1}|0|"}}


@pytest.mark.parametrize("change", [{"every_ms": 20_000}, {"suspend": True}, {"every_ms": 0, "cron": "@daily"}])
async def test_a_changed_schedule_begins_anew_and_remembers_its_last_fire(
    bench: Bench, table: Timetable, change: dict[str, Any]
) -> None:
    settled = await began(bench)
    await later(bench, 5)
    task = (await bench.run(table.fire(EVERY, settled, settled + 1))).task
    changed = msgspec.structs.replace(EVERY, **change)

    assert (await bench.run(table.fire(changed, settled + 1, settled + 2))).outcome == "begun"
    await bench.run(table.publish([changed]))
    entry = (await known(bench)).entries[0]
    assert (entry.fired_ms, entry.task) == (settled + 1, task)
    assert entry.settled_ms is not None
    assert entry.settled_ms > settled
    assert (await bench.stats()).enqueued == 1


async def test_changed_arguments_begin_nothing_anew(bench: Bench, table: Timetable) -> None:
    settled = await began(bench)
    await later(bench, 5)
    changed = msgspec.structs.replace(EVERY, args={"n": 2}, priority=3)
    reply = await bench.run(table.fire(changed, settled, settled + 1))
    task = await bench.run(bench.inspector.get(reply.task))
    assert task
    assert (task.args, task.priority) == (b'{"n":2}', 3)


@pytest.mark.parametrize("state", ["waiting", "active", "delayed"])
async def test_an_occurrence_is_left_out_while_the_last_task_has_not_ended(
    bench: Bench, table: Timetable, state: str
) -> None:
    alone = msgspec.structs.replace(EVERY, overlap=Overlap.SKIP)
    settled = await began(bench, alone)
    await later(bench, 10)
    first = (await bench.run(table.fire(alone, settled, settled + 1))).task
    if state != "waiting":
        await bench.register("w")
        [held] = await bench.fetch("w")
    if state == "delayed":
        await bench.run(bench.broker.retry("w", held.id, held.token, delay_ms=60_000))

    assert await bench.run(table.fire(alone, settled + 1, settled + 2)) == Fired("overlaps", first)
    assert await bench.run(table.fire(alone, settled + 1, settled + 2)) == Fired("moved")
    assert (await bench.stats()).enqueued == 1

    await bench.run(bench.broker.cancel(first))
    if state == "active":
        await bench.run(bench.broker.dead_letter("w", held.id, held.token, error="no"))
    assert (await bench.run(table.fire(alone, settled + 2, settled + 3))).outcome == "fired"


async def test_a_schedule_of_another_protocol_is_not_fired(bench: Bench, table: Timetable) -> None:
    settled = await began(bench)
    await later(bench, 5)
    await bench.write("HSET", bench.keys.config, "protocol", 7)
    with pytest.raises(ProtocolMismatch):
        await bench.run(table.fire(EVERY, settled, settled + 1))
    assert (await known(bench)).entries[0].settled_ms == settled


async def test_a_damaged_record_begins_anew(bench: Bench, table: Timetable) -> None:
    await began(bench)
    await bench.write("HSET", bench.keys.fired, "beat", "garbage")
    assert (await known(bench)).entries[0].settled_ms is None
    assert (await bench.run(table.fire(EVERY, 1, 2))).outcome == "begun"
    assert (await bench.stats()).enqueued == 0


# Whose word counts.


async def code(bench: Bench, worker: str, *schedules: Schedule) -> None:
    info = WorkerInfo(worker, "", "pod", 15_000, 1_000, 1, "app", "1")
    await bench.run(bench.workers.register(info, Manifest("app", {}, schedules=schedules)))


async def names(bench: Bench) -> list[str]:
    return [entry.schedule.name for entry in (await known(bench)).entries]


NIGHTLY, WEEKLY = Schedule("nightly", "report", cron="@daily"), Schedule("weekly", "report", cron="@weekly")


async def test_a_queue_without_schedules_stores_nothing(bench: Bench) -> None:
    await code(bench, "w")
    assert (await known(bench, 0)).entries == ()
    assert "schedules" not in await bench.snapshot()


async def test_the_schedules_of_the_code_outlive_its_workers(bench: Bench) -> None:
    await code(bench, "w", NIGHTLY)
    await bench.run(bench.workers.unregister("w"))
    assert await names(bench) == ["nightly"]


async def test_the_operators_word_counts_more_than_that_of_the_code(bench: Bench, table: Timetable) -> None:
    await code(bench, "w", NIGHTLY, WEEKLY)
    await bench.run(table.publish([msgspec.structs.replace(NIGHTLY, suspend=True)]))
    entries = (await known(bench)).entries
    assert [(one.schedule.name, one.schedule.suspend, one.origin) for one in entries] == [
        ("nightly", True, Origin.OPERATOR),
        ("weekly", False, Origin.CODE),
    ]
    await bench.run(table.publish([]))
    assert [one.origin for one in (await known(bench)).entries] == [Origin.CODE, Origin.CODE]


async def test_a_schedule_that_newer_code_no_longer_has_is_gone_at_once(bench: Bench) -> None:
    await code(bench, "old", NIGHTLY, WEEKLY)
    await bench.clock.advance(5)
    await code(bench, "new", WEEKLY)
    assert await names(bench) == ["weekly"]


async def test_the_last_schedule_of_the_code_can_go_too(bench: Bench) -> None:
    await code(bench, "old", NIGHTLY)
    await bench.clock.advance(5)
    await code(bench, "new")
    assert await names(bench) == []


async def test_a_straggler_of_the_old_version_counts_only_while_it_lives(bench: Bench) -> None:
    """In a rollout a pod of the old version may be started last."""
    await code(bench, "old", NIGHTLY)
    await bench.clock.advance(5)
    await code(bench, "new", WEEKLY)
    await bench.clock.advance(5)
    await code(bench, "straggler", NIGHTLY)
    assert await names(bench) == ["nightly"]
    for worker in ("old", "straggler"):
        await bench.run(bench.workers.unregister(worker))
    assert await names(bench) == ["weekly"]
    await bench.run(bench.workers.unregister("new"))
    assert await names(bench) == ["weekly"]


async def test_a_rollback_brings_the_old_schedules_back(bench: Bench) -> None:
    await code(bench, "old", NIGHTLY)
    await bench.clock.advance(5)
    await code(bench, "new", WEEKLY)
    assert await names(bench) == ["weekly"]
    await bench.clock.advance(5)
    await code(bench, "rolled-back", NIGHTLY)
    await bench.run(bench.workers.unregister("new"))
    assert await names(bench) == ["nightly"]


async def test_what_cannot_be_read_is_named_and_hides_nothing_else(bench: Bench, table: Timetable) -> None:
    await bench.run(table.publish([NIGHTLY]))
    await bench.write("HSET", bench.keys.schedules, "code:ab", '[{"name": 7}]')
    found = await known(bench)
    assert [one.schedule.name for one in found.entries] == ["nightly"]
    assert "code:ab" in found.damage[0]


async def test_an_occurrence_within_seconds_counts_as_due_soon(bench: Bench) -> None:
    """So that the autoscaler has a worker ready."""
    now = (await known(bench)).now_ms
    await known(bench, now + 9_000)
    assert (await bench.stats()).due_soon == 1
    await known(bench, now + 90_000)
    assert (await bench.stats()).due_soon == 0
    await known(bench, now + 9_000)
    await known(bench, 0)
    assert (await bench.stats()).due_soon == 0
    assert "next_fire_ms" not in (await bench.snapshot()).get("config", {})
