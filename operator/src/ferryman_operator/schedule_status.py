"""Status of a TaskSchedule: what is reported, and in which words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ferryman.due import next_fire
from ferryman.manifest import nearest
from ferryman.schedule import Schedule
from ferryman.timetable import Entry
from ferryman_operator.conditions import Condition, condition, condition_of, merged
from ferryman_operator.status import timestamp
from ferryman_operator.story import NORMAL, WARNING, Told

_MOMENTS = ("lastFireTime", "lastTask", "nextFireTime")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one pass found out about a TaskSchedule.

    `trouble` is why it is not fired, as a reason and a sentence. `entry` is what Redis knows, None when it was not
    asked; what is not known stays in the status as it was.
    """

    generation: int
    schedule: Schedule | None = None
    invalid: str = ""
    trouble: tuple[str, str] | None = None
    entry: Entry | None = None
    now_ms: int = 0
    tasks: Sequence[str] | None = None  # names that a worker of the queue has ever known; None when not asked


def build(old: Mapping[str, Any], found: Finding, now: datetime) -> dict[str, Any]:
    """The whole status."""
    status: dict[str, Any] = {name: old[name] for name in _MOMENTS if name in old}
    if found.invalid or (found.schedule and found.schedule.suspend):
        status.pop("nextFireTime", None)
    if found.entry and found.schedule:
        if found.entry.fired_ms:
            status["lastFireTime"], status["lastTask"] = _moment(found.entry.fired_ms), found.entry.task
        settled_ms = found.now_ms if found.entry.settled_ms is None else found.entry.settled_ms
        if (at_ms := next_fire(found.schedule, settled_ms)) is not None:
            status["nextFireTime"] = _moment(at_ms)
    return {
        "observedGeneration": found.generation,
        **status,
        "conditions": merged(old.get("conditions") or [], _conditions(found), timestamp(now)),
    }


def patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch that makes `old` into `new`; None when they are the same."""
    changed = {field: value for field, value in new.items() if old.get(field) != value}
    changed |= {field: None for field in _MOMENTS if field in old and field not in new}  # only null removes
    return changed or None


def story(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Told]:
    """What is worth an event: trouble, its end, suspensions, and a task that nobody knows."""
    return [*_ready_story(old, new), *_task_story(condition_of(old, "TaskKnown"), condition_of(new, "TaskKnown"))]


def _task_story(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Told]:
    if was.get("status") == now.get("status") or "False" not in (was.get("status"), now.get("status")):
        return []
    return [Told(WARNING if now["status"] == "False" else NORMAL, now["reason"], now["message"])]


def _ready_story(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Told]:
    was, now = condition_of(old, "Ready"), condition_of(new, "Ready")
    if (was.get("status"), was.get("reason")) == (now["status"], now["reason"]):
        return []
    if now["status"] == "False":
        return [Told(WARNING, now["reason"], now["message"])]
    if now["reason"] == "Suspended" or was:
        return [Told(NORMAL, now["reason"], now["message"])]
    return []  # it has just been made, and all is well


def _conditions(found: Finding) -> list[Condition]:
    if found.invalid:
        spec_valid = condition(found.generation, "SpecValid", "False", "InvalidSpec", found.invalid)
        ready = condition(found.generation, "Ready", "False", "InvalidSpec", found.invalid)
    else:
        spec_valid = condition(found.generation, "SpecValid", "True", "Valid", "the spec can be used")
        if found.trouble:
            ready = condition(found.generation, "Ready", "False", *found.trouble)
        elif found.schedule and found.schedule.suspend:
            ready = condition(found.generation, "Ready", "True", "Suspended", "spec.suspend is true: nothing is fired")
        else:
            ready = condition(
                found.generation, "Ready", "True", "Scheduled", f"the scheduler fires it: {_when(found.schedule)}"
            )
    if found.schedule is None or found.tasks is None:
        return [ready, spec_valid]
    return [ready, spec_valid, condition(found.generation, "TaskKnown", *_known(found.schedule.task, found.tasks))]


def _known(task: str, names: Sequence[str]) -> tuple[str, str, str]:
    if not names:
        return "Unknown", "NoManifest", "no worker of the queue has registered yet, so nobody can say"
    if task in names:
        return "True", "Known", f"workers of the queue can run task {task!r}"
    meant = nearest(task, names)
    hint = f"; did you mean {meant!r}?" if meant else "."
    fate = "It is fired, parked, and dead half an hour later"
    return "False", "UnknownTask", f"no worker of the queue has ever known a task {task!r}{hint} {fate}"


def _when(schedule: Schedule | None) -> str:
    return str(schedule.timing) if schedule else ""


def _moment(epoch_ms: int) -> str:
    return timestamp(datetime.fromtimestamp(epoch_ms / 1000, UTC))
