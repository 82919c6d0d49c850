"""TaskSchedules: what the operator publishes to Redis, takes back, and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ferryman_bench import Bench
from ferryman_bench.operator_scene import Scene
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.names import scheduler_deployment
from ferryman_operator.schedule_spec import read_schedule
from ferryman_operator.schedules import Schedules
from ferryman_operator.spec import SpecError
from ferryman_operator.world import Kind

from ferryman.manifest import Manifest, TaskManifest
from ferryman.occurrences import Dst
from ferryman.schedule import Misfire, Overlap, Schedule
from ferryman.timetable import Timetable
from ferryman.workers import WorkerInfo, WorkerRegistry

FULL = {
    "queueRef": {"name": "q"},
    "task": "report",
    "args": {"kind": "daily"},
    "cron": "0 7 * * 1-5",
    "timeZone": "Europe/Berlin",
    "dst": "skip",
    "misfire": "all",
    "startingDeadline": "2h",
    "overlap": "skip",
    "suspend": True,
    "options": {"priority": 5, "maxAttempts": 2, "timeout": "30s"},
}


def body(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "nightly", "namespace": "ns", "uid": "uid-s"}
    return {"kind": "TaskSchedule", "metadata": metadata, "spec": spec}


def test_every_field_is_read() -> None:
    found = read_schedule(body(**FULL))
    one = found.schedule
    assert (found.queue, one.name, one.task, one.args) == ("q", "nightly", "report", {"kind": "daily"})
    assert (one.cron, one.tz, one.dst) == ("0 7 * * 1-5", "Europe/Berlin", Dst.SKIP)
    assert (one.misfire, one.deadline_ms, one.overlap, one.suspend) == (Misfire.ALL, 7_200_000, Overlap.SKIP, True)
    assert (one.priority, one.options.max_attempts, one.options.timeout_s) == (5, 2, 30.0)


def test_what_is_not_said_is_built_in() -> None:
    one = read_schedule(body(queueRef={"name": "q"}, task="t", every="90s")).schedule
    assert one == Schedule("nightly", "t", every_ms=90_000)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"cron": "0 0 30 2 *"}, "spec.cron"),
        ({"cron": "0 0 * FEB#2 *"}, "spec.cron"),
        ({"cron": "", "every": "100ms"}, "spec.every"),
        ({"timeZone": "Europe/Atlantis"}, "spec.timeZone"),
        ({"cron": "* * * * *", "every": "5s"}, "spec.cron"),
        ({"task": "9"}, "spec.task"),
        ({"startingDeadline": "soon"}, "spec.startingDeadline"),
        ({"options": {"timeout": "0s"}}, "spec.options.timeout"),
        ({"queueRef": None}, "spec"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path(change: Mapping[str, Any], field: str) -> None:
    with pytest.raises(SpecError) as refused:
        read_schedule(body(**{**FULL, **change}))
    assert refused.value.field == field


class Stage:
    """A queue with its scheduler, and one TaskSchedule."""

    def __init__(self, bench: Bench) -> None:
        self.scene = Scene(bench.link)
        self.table = Timetable("q")
        self.link = bench.link

    def write(self, **spec: Any) -> None:
        old = self.scene.cluster.objects.get((Kind.TASK_SCHEDULE, "nightly"), {})
        told = self.scene.cluster.add({**old, **body(**{"queueRef": {"name": "q"}, "task": "report"} | spec)})
        self.scene.world.observe(Kind.TASK_SCHEDULE, "MODIFIED", told)

    def delete(self) -> None:
        self.scene.delete(Kind.TASK_SCHEDULE, "nightly")

    async def turn(self) -> None:
        await self.scene.turn()
        assert self.scene.tracked.spec
        name = scheduler_deployment(self.scene.tracked.spec.redis)
        if live := self.scene.cluster.objects.get((Kind.DEPLOYMENT, name)):
            self.scene.world.observe(
                Kind.DEPLOYMENT, "MODIFIED", self.scene.cluster.add({**live, "status": {"readyReplicas": 1}})
            )
        await self.settled(self.scene.redis_pass.schedules)

    async def settled(self, schedules: Schedules) -> None:
        while schedules._reports:
            await next(iter(schedules._reports.values()))

    async def published(self) -> list[Schedule]:
        return [entry.schedule for entry in (await self.link.run(self.table.agree())).entries]

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.scene.cluster.objects[Kind.TASK_SCHEDULE, "nightly"].get("status", {})
        return status

    def ready(self) -> str:
        found = next(one for one in self.status()["conditions"] if one["type"] == "Ready")
        return f"{found['status']} {found['reason']}"

    def writes(self) -> int:
        return self.scene.cluster.writes.count("status TaskSchedule nightly")


@pytest.fixture
async def stage(fake_bench: Bench) -> Stage:
    stage = Stage(fake_bench)
    for _ in range(3):  # until its scheduler runs
        await stage.turn()
    return stage


async def test_a_taskschedule_is_published_and_reported(stage: Stage) -> None:
    stage.write(cron="0 7 * * *", timeZone="Europe/Berlin")
    await stage.turn()
    [one] = await stage.published()
    assert (one.name, one.cron, one.tz) == ("nightly", "0 7 * * *", "Europe/Berlin")
    assert stage.ready() == "True Scheduled"
    assert stage.status()["nextFireTime"].endswith("00:00Z")
    assert stage.status()["observedGeneration"] == 1


async def test_when_nothing_changes_nothing_is_written(stage: Stage) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    for _ in range(3):
        await stage.turn()
    assert stage.writes() == 1


async def test_last_and_next_fire_are_told_at_once(stage: Stage, fake_bench: Bench) -> None:
    stage.write(every="10s")
    await stage.turn()
    [one] = await stage.published()
    await stage.link.run(stage.table.begin(one))
    await fake_bench.clock.advance(10_000)
    known = await stage.link.run(stage.table.agree())
    settled = known.entries[0].settled_ms
    assert settled is not None
    at = known.now_ms - known.now_ms % 10_000
    await stage.link.run(stage.table.fire(one, settled, at))
    await stage.turn()
    status = stage.status()
    assert status["lastTask"] == f"nightly:{status['lastFireTime']}"
    assert status["nextFireTime"] > status["lastFireTime"]


async def test_a_change_is_published(stage: Stage) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    stage.write(cron="0 8 * * *", args={"n": 1})
    await stage.turn()
    [one] = await stage.published()
    assert (one.cron, one.args) == ("0 8 * * *", {"n": 1})


async def test_a_suspended_one_has_no_next_and_says_so(stage: Stage) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    stage.write(cron="0 7 * * *", suspend=True)
    await stage.turn()
    assert stage.ready() == "True Suspended"
    assert stage.status().get("nextFireTime") is None
    stage.write(cron="0 7 * * *", suspend=False)
    await stage.turn()
    assert stage.status()["nextFireTime"]
    assert [event.split()[0] for event in stage.scene.cluster.events if "Suspend" in event or "Scheduled" in event] == [
        "Suspended",
        "Scheduled",
    ]


async def test_a_deleted_one_vanishes_from_redis(stage: Stage) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    stage.delete()
    await stage.turn()
    assert await stage.published() == []


async def test_one_that_was_deleted_while_no_operator_ran_vanishes_too(stage: Stage) -> None:
    await stage.link.run(stage.table.publish([Schedule("left", "t", every_ms=5_000)]))
    successor = Stage.__new__(Stage)
    successor.scene, successor.table, successor.link = Scene(stage.link), stage.table, stage.link
    await successor.turn()
    assert await successor.published() == []


async def test_what_somebody_flushed_is_published_again(stage: Stage, fake_bench: Bench) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    await fake_bench.write("DEL", stage.table.keys.schedules)
    await stage.turn()
    assert len(await stage.published()) == 1


async def test_one_that_cannot_be_used_is_not_published_and_says_why(stage: Stage) -> None:
    stage.write(cron="0 0 30 2 *")
    await stage.turn()
    assert await stage.published() == []
    assert stage.ready() == "False InvalidSpec"
    [message] = {one["message"] for one in stage.status()["conditions"]}
    assert message.startswith("spec.cron: ")
    assert any(event.startswith("InvalidSpec") for event in stage.scene.cluster.events)


async def test_one_without_a_taskqueue_says_so(stage: Stage) -> None:
    stage.write(cron="0 7 * * *", queueRef={"name": "nobody"})
    schedules = stage.scene.redis_pass.schedules
    schedules.report_unpublished([stage.scene.tracked])
    await stage.settled(schedules)
    assert stage.ready() == "False QueueNotFound"


async def test_one_whose_scheduler_does_not_run_says_so(fake_bench: Bench) -> None:
    stage = Stage(fake_bench)
    stage.write(cron="0 7 * * *")
    await stage.scene.turn()
    await stage.settled(stage.scene.redis_pass.schedules)
    assert stage.ready() == "False SchedulerNotReady"


async def test_one_whose_redis_is_away_says_so(stage: Stage) -> None:
    stage.write(cron="0 7 * * *")
    await stage.turn()
    await stage.scene.turn(Unmeasured("Timeout", "no answer within 2 s"))
    schedules = stage.scene.redis_pass.schedules
    schedules.report_unpublished([stage.scene.tracked])
    await stage.settled(schedules)
    assert stage.ready() == "False Timeout"
    assert stage.status()["nextFireTime"], "what was known stays"


async def test_a_task_that_no_worker_has_ever_known_is_told_of(stage: Stage) -> None:
    """It would be fired, parked and dead, night after night."""

    def known() -> dict[str, Any]:
        return next(one for one in stage.status()["conditions"] if one["type"] == "TaskKnown")

    stage.write(cron="0 7 * * *", task="reprot")
    await stage.turn()
    assert (known()["status"], known()["reason"]) == ("Unknown", "NoManifest")

    info = WorkerInfo("w", "", "", 60_000, 1_000, 1, "app", "1")
    manifest = Manifest("app", {"report": TaskManifest("report")})
    await stage.link.run(WorkerRegistry("q").register(info, manifest))
    await stage.turn()
    assert (known()["status"], known()["reason"]) == ("False", "UnknownTask")
    assert "did you mean 'report'?" in known()["message"]
    assert stage.ready() == "True Scheduled", "it is fired all the same"

    stage.write(cron="0 7 * * *", task="report")
    await stage.turn()
    assert (known()["status"], known()["reason"]) == ("True", "Known")
