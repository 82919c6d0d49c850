"""What a task is: its states, what goes in at enqueue, and the record that Redis keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ferryman.errors import InvalidTask

if TYPE_CHECKING:
    from ferryman.history import PastRun

#: The largest and smallest priority; a score of priority * 2^32 + sequence stays exact in a double.
MAX_PRIORITY: Final = 1 << 20

#: Encoded arguments of one task, in bytes.
MAX_ARGS_BYTES: Final = 1 << 20

#: The encoded result of one task, in bytes.
MAX_RESULT_BYTES: Final = 1 << 20

_QUEUE = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")


class TaskState(StrEnum):
    """Where a task is; each member says who moves it on."""

    WAITING = "waiting"  # a worker fetches it
    DELAYED = "delayed"  # the scheduler promotes it when it is due
    BLOCKED = "blocked"  # what it waits for moves it on when that is over: other tasks, or a place in its lane
    ACTIVE = "active"  # its worker completes, retries or dead-letters it; if that one dies, it is recovered
    DEAD = "dead"  # a person revives or discards it; the scheduler trims it after the retention
    COMPLETED = "completed"  # the scheduler forgets its status after the retention
    DISCARDED = "discarded"  # cancelled while it ran, or expired; the scheduler forgets its status after the retention


@dataclass(frozen=True, slots=True)
class Task:
    """A task as Redis keeps it. Times are epoch milliseconds of Redis' clock; 0 = does not apply."""

    id: str
    queue: str
    name: str
    state: TaskState
    args: bytes
    options: bytes
    attempt: int  # attempts spent
    deliveries: int  # times fetched; the fencing token of the present delivery
    crashes: int  # times a worker died while it held this task alone
    priority: int
    unique: str
    worker: str  # the holder, while active
    error: str
    result: bytes
    enqueued_ms: int
    since_ms: int  # in this state since
    run_at_ms: int
    finished_ms: int
    evidence: tuple[str, ...]  # one JSON object per crash: worker, pod, reason, at_ms, held
    history: tuple[PastRun, ...]  # its latest runs that did not end well, the oldest first
    why: str = ""  # of a discarded one: cancelled, expired, or its workflow ended before it
    flow: str = ""  # the workflow that it is a node of
    released: int = 0  # of a node that waited for others: how often that was over; 0 or 1
    expires_ms: int = 0  # when its deadline passes
    lane: str = ""
    progress: bytes = b""  # JSON: done, total, note, as its handler last said
    progress_ms: int = 0
    result_problem: str = ""  # why its result was not kept although that was asked for


def check_queue_name(name: str) -> str:
    """Return `name`, or raise InvalidTask: a queue's name is also a Kubernetes name and a Redis hash tag."""
    if not _QUEUE.fullmatch(name):
        raise InvalidTask("queue", f"{name!r} is not 1 to 63 of a-z, 0-9, '-' and '.', starting and ending with a-z0-9")
    return name


def check_task_id(task_id: str) -> str:
    """Return `task_id`, or raise InvalidTask."""
    if not _ID.fullmatch(task_id):
        raise InvalidTask("id", f"{task_id[:140]!r} is not 1 to 128 of A-Z, a-z, 0-9 and '_.:-'")
    return task_id


@lru_cache(maxsize=1024)
def check_task_name(name: str) -> str:
    """Return `name`, or raise InvalidTask."""
    if not _NAME.fullmatch(name):
        raise InvalidTask("task", f"{name[:140]!r} is not a letter or '_', then up to 127 of A-Z, a-z, 0-9 and '_.-'")
    return name
