"""What a TaskSchedule asks for, read from its object: the schedule as it is published to Redis, and its queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ferryman.durations import duration_ms
from ferryman.errors import InvalidTask
from ferryman.occurrences import Dst
from ferryman.options import task_options
from ferryman.schedule import Misfire, Overlap, Schedule, check_schedule
from ferryman_operator.spec import SpecError

#: What the library calls a field, and its path in the object.
_PATHS: Final = {
    "cron": "spec.cron",
    "every": "spec.every",
    "tz": "spec.timeZone",
    "task": "spec.task",
    "schedule": "metadata.name",
    "id": "metadata.name",
    "starting_deadline": "spec.startingDeadline",
    "priority": "spec.options.priority",
    "max_attempts": "spec.options.maxAttempts",
    "timeout": "spec.options.timeout",
    "args": "spec.args",
}


@dataclass(frozen=True, slots=True)
class TaskScheduleSpec:
    """One TaskSchedule: its queue's TaskQueue, and what is fired."""

    queue: str
    schedule: Schedule


def read_schedule(body: Mapping[str, Any]) -> TaskScheduleSpec:
    """Read the object. Raises SpecError naming the field."""
    spec = body.get("spec") or {}
    options = spec.get("options") or {}
    try:
        schedule = Schedule(
            name=body["metadata"]["name"],
            task=str(spec.get("task", "")),
            cron=str(spec.get("cron") or "").strip(),
            every_ms=_duration_ms(spec, "every", "spec.every"),
            tz=spec.get("timeZone", "UTC"),
            dst=Dst(spec.get("dst", Dst.ONCE)),
            misfire=Misfire(spec.get("misfire", Misfire.LATEST)),
            deadline_ms=_duration_ms(spec, "startingDeadline", "spec.startingDeadline"),
            overlap=Overlap(spec.get("overlap", Overlap.ALLOW)),
            suspend=bool(spec.get("suspend", False)),
            args=spec.get("args") or {},
            priority=int(options.get("priority", 0)),
            options=task_options(options.get("maxAttempts"), options.get("timeout")),
        )
        queue = spec["queueRef"]["name"]
        return TaskScheduleSpec(queue, check_schedule(schedule))
    except InvalidTask as error:
        raise SpecError(_PATHS.get(error.field, f"spec.{error.field}"), error.message) from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError("spec", f"cannot be read: {error!r}") from error


def queue_of(body: Mapping[str, Any]) -> str:
    """The name of the TaskQueue that a TaskSchedule names, whatever else it says."""
    reference = (body.get("spec") or {}).get("queueRef")
    return str(reference.get("name", "")) if isinstance(reference, Mapping) else ""


def _duration_ms(section: Mapping[str, Any], name: str, path: str) -> int:
    if name not in section:
        return 0
    try:
        return duration_ms(str(section[name]))
    except ValueError as error:
        raise SpecError(path, str(error)) from error
