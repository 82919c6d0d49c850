"""Schedule: which task is enqueued when, again and again; said by a handler's `cron=` or by a TaskSchedule object."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from ferryman.digests import sha256_of
from ferryman.durations import Duration, duration_ms
from ferryman.errors import InvalidTask
from ferryman.new_task import NewTask, check_new_task
from ferryman.occurrences import Dst, Timing, checked
from ferryman.options import TaskOptions
from ferryman.task import check_task_name

#: A task's id is its schedule's name and the occurrence, and has 128 characters at most.
LONGEST_NAME: Final = 100

#: Headers of a task that a schedule has enqueued: its schedule, and the occurrence that it is for.
SCHEDULE_HEADER: Final = "ferryman-schedule"
OCCURRENCE_HEADER: Final = "ferryman-occurrence"


class Misfire(StrEnum):
    """What to do about occurrences that nobody could fire in time."""

    SKIP = "skip"  # none of them
    LATEST = "latest"  # one, for the latest
    ALL = "all"  # one for each, the latest hundred at most


class Overlap(StrEnum):
    """What to do when the task of the last occurrence has not ended."""

    ALLOW = "allow"  # enqueue another one
    SKIP = "skip"  # leave this occurrence out


class Origin(StrEnum):
    """Who says so. The operator's word counts when both use one name."""

    CODE = "code"  # a handler's `cron=`
    OPERATOR = "TaskSchedule"


class Cron(msgspec.Struct, frozen=True):
    """A cron line with all that can be said of it: `@queue.task(cron=Cron("0 2 * * *", overlap="skip"))`.

    Five fields (minute, hour, day, month, weekday) or a name such as @daily; `L` is the last day of a month, `MON#1`
    its first Monday. `starting_deadline`: later than this an occurrence is not fired any more, whatever `misfire` says.
    """

    line: str
    tz: str = "UTC"
    dst: Dst | str = Dst.ONCE
    misfire: Misfire | str = Misfire.LATEST
    starting_deadline: Duration | None = None
    overlap: Overlap | str = Overlap.ALLOW


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One schedule as it lies in Redis. Fields of a newer version are ignored."""

    name: str
    task: str
    cron: str = ""
    every_ms: int = 0
    tz: str = "UTC"
    dst: Dst = Dst.ONCE
    misfire: Misfire = Misfire.LATEST
    deadline_ms: int = 0  # the starting deadline; 0 = none
    overlap: Overlap = Overlap.ALLOW
    suspend: bool = False
    args: dict[str, Any] = {}
    priority: int = 0
    options: TaskOptions = TaskOptions()

    @property
    def timing(self) -> Timing:
        """When it is due."""
        return Timing(self.cron, self.every_ms, self.tz, self.dst)

    @property
    def key(self) -> str:
        """Changes whenever its occurrences do: then it begins anew, and nothing before that moment was missed."""
        said = f"{self.cron}|{self.every_ms}|{self.tz}|{self.dst}|{self.suspend}"
        return sha256_of(said.encode())[:12]

    def new_task(self, task_id: str, occurrence_ms: int) -> NewTask:
        """The task for an occurrence."""
        headers = {**(self.options.headers or {}), SCHEDULE_HEADER: self.name}
        headers[OCCURRENCE_HEADER] = iso(occurrence_ms)
        options = msgspec.structs.replace(self.options, headers=headers)
        return NewTask(task_id, self.task, msgspec.json.encode(self.args), options.encode(), priority=self.priority)


def check_schedule(schedule: Schedule) -> Schedule:
    """Return `schedule`, or raise InvalidTask naming the field: what Redis holds could be fired for ever."""
    check_schedule_name(schedule.name)
    checked(schedule.timing)
    if schedule.deadline_ms < 0:
        raise InvalidTask("starting_deadline", "is negative")
    check_new_task(schedule.new_task(task_id(schedule.name, 0), 0))
    return schedule


def check_schedule_name(name: str) -> str:
    """Return `name`, or raise InvalidTask: it is a part of its tasks' ids."""
    if not name or len(name) > LONGEST_NAME:
        raise InvalidTask("schedule", f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    return check_task_name(name) if name[0].isalpha() or name[0] == "_" else name


def of_handler(task: str, cron: Cron | str, tz: str | None) -> Schedule:
    """What `@queue.task(cron=…, tz=…)` says. Raises InvalidTask naming the option."""
    if isinstance(cron, str):
        cron = Cron(cron)
    elif not isinstance(cron, Cron):
        raise InvalidTask("cron", f"{cron!r} is neither a cron line such as '0 7 * * 1-5' nor a ferryman.Cron")
    if tz is not None:
        cron = msgspec.structs.replace(cron, tz=tz)
    try:
        deadline_ms = 0 if cron.starting_deadline is None else max(1, duration_ms(cron.starting_deadline))
    except ValueError as error:
        raise InvalidTask("starting_deadline", str(error)) from None
    return check_schedule(
        Schedule(
            name=task,
            task=task,
            cron=cron.line,
            tz=cron.tz,
            dst=_one_of(Dst, "dst", cron.dst),
            misfire=_one_of(Misfire, "misfire", cron.misfire),
            deadline_ms=deadline_ms,
            overlap=_one_of(Overlap, "overlap", cron.overlap),
        )
    )


def encode_schedules(schedules: list[Schedule]) -> bytes:
    """As JSON, in the order of their names."""
    return msgspec.json.encode(sorted(schedules, key=lambda one: one.name))


def decode_schedules(encoded: bytes) -> list[Schedule]:
    """The inverse. Raises InvalidTask when it is no such JSON."""
    try:
        return _decoder.decode(encoded)
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidTask("schedules", f"can't be decoded: {error}") from error


def task_id(name: str, occurrence_ms: int) -> str:
    """The id of the task for an occurrence: whoever fires it, it is the same."""
    return f"{name}:{iso(occurrence_ms)}"


def schedule_of(task_id: str, headers: Any) -> str | None:
    """The schedule that enqueued a task, if one did; a completed task has its id left, and no headers."""
    if isinstance(headers, dict) and SCHEDULE_HEADER in headers:
        return str(headers[SCHEDULE_HEADER])
    found = _OCCURRENCE_ID.fullmatch(task_id)
    return found[1] if found else None


def iso(epoch_ms: int) -> str:
    """A moment in UTC, to the second where it has no parts of one."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    spec = "milliseconds" if epoch_ms % 1000 else "seconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


_OCCURRENCE_ID: Final = re.compile(r"(.+):\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{3})?Z")
_decoder: Final = msgspec.json.Decoder(list[Schedule])


def _one_of(kind: Any, option: str, value: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        raise InvalidTask(option, f"{value!r} is none of {', '.join(kind)}") from None
