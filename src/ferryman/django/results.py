"""Results: a task of Ferryman's as the TaskResult that Django wants to see."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from ferryman.context import Context
from ferryman.django.interface import (
    TASK_MAX_PRIORITY,
    TASK_MIN_PRIORITY,
    Task,
    TaskError,
    TaskResult,
    TaskResultStatus,
)
from ferryman.logs import worker_name
from ferryman.middleware import DeadTask
from ferryman.task import Task as Record
from ferryman.task import TaskState

P = ParamSpec("P")
R = TypeVar("R")

_STATUS: Final = {
    TaskState.WAITING: TaskResultStatus.READY,
    TaskState.DELAYED: TaskResultStatus.READY,
    TaskState.BLOCKED: TaskResultStatus.READY,
    TaskState.ACTIVE: TaskResultStatus.RUNNING,
    TaskState.COMPLETED: TaskResultStatus.SUCCESSFUL,
    TaskState.DEAD: TaskResultStatus.FAILED,
    TaskState.DISCARDED: TaskResultStatus.FAILED,
}

_known: Final[dict[str, Task[..., Any]]] = {}


def know(task: Task[..., Any]) -> None:
    """Remember a task by its path."""
    _known[task.module_path] = task


def known(path: str) -> Task[..., Any] | None:
    """The task with that path; imported when it is not known here yet."""
    if path not in _known:
        try:
            found = import_string(path)
        except ImportError:
            return None
        if isinstance(found, Task):
            know(found)
    return _known.get(path)


def task_of(record: Record, alias: str) -> Task[..., Any] | None:
    """The Django task of a record; None when it is some other code's."""
    task = known(record.name)
    if task is None:
        return None
    priority = max(TASK_MIN_PRIORITY, min(record.priority, TASK_MAX_PRIORITY))  # Ferryman's range is wider
    return replace(task, queue_name=record.queue, priority=priority, backend=alias)


def of_new(task: Task[P, R], task_id: str, args: Any, kwargs: Any, alias: str) -> TaskResult[P, R]:
    """Just enqueued."""
    return _result(task, task_id, TaskResultStatus.READY, args=[*args], kwargs=kwargs, alias=alias, enqueued=_now())


def of_run(task: Task[..., Any], ctx: Context[Any], arguments: dict[str, Any]) -> TaskResult[..., Any]:
    """Running here. Who ran it before is not known here, only how often that was."""
    return _result(
        task,
        ctx.task_id,
        TaskResultStatus.RUNNING,
        kwargs=arguments,
        enqueued=ctx.enqueued_at,
        started=_now(),
        workers=["?"] * (ctx.attempt - 1) + [worker_name() or "?"],
    )


def succeeded(running: TaskResult[..., Any], value: Any) -> TaskResult[..., Any]:
    """The same at its end."""
    done = replace(running, status=TaskResultStatus.SUCCESSFUL, finished_at=_now())
    object.__setattr__(done, "_return_value", value)
    return done


def failed(task: Task[..., Any], dead: DeadTask, arguments: dict[str, Any]) -> TaskResult[..., Any]:
    """Just gone to dead."""
    return _result(
        task,
        dead.task_id,
        TaskResultStatus.FAILED,
        kwargs=arguments,
        finished=_now(),
        errors=[_error(task, dead.error)],
        workers=["?"] * (dead.attempt - 1) + [worker_name() or "?"],
    )


def of_record(task: Task[..., Any], record: Record, alias: str) -> TaskResult[..., Any]:
    """As Redis has it. A completed task has forgotten its arguments."""
    active = record.state is TaskState.ACTIVE
    started = [run.started_ms for run in record.history] + ([record.since_ms] if active else [])
    errors = [run.error for run in record.history if run.error]
    if record.error and _STATUS[record.state] is TaskResultStatus.FAILED:
        errors[-1:] = [record.error]  # the whole of the last one
    runs_well = active or record.state is TaskState.COMPLETED
    result = _result(
        task,
        record.id,
        _STATUS[record.state],
        kwargs=json.loads(record.args) if record.args else {},
        alias=alias,
        enqueued=_moment(record.enqueued_ms),
        started=_moment(started[0]) if started else None,
        attempted=_moment(started[-1]) if started else None,
        finished=_moment(record.finished_ms) if record.finished_ms else None,
        errors=[_error(task, error) for error in errors],
        workers=[run.worker for run in record.history] + ([record.worker or "?"] if runs_well else []),
    )
    if record.state is TaskState.COMPLETED and record.result:
        object.__setattr__(result, "_return_value", json.loads(record.result))
    return result


def _result(
    task: Task[P, R],
    task_id: str,
    status: TaskResultStatus,
    *,
    kwargs: dict[str, Any],
    args: list[Any] | None = None,
    alias: str | None = None,
    enqueued: datetime | None = None,
    started: datetime | None = None,
    attempted: datetime | None = None,
    finished: datetime | None = None,
    errors: list[TaskError] | None = None,
    workers: list[str] | None = None,
) -> TaskResult[P, R]:
    return TaskResult(
        task=task,
        id=task_id,
        status=status,
        enqueued_at=enqueued,
        started_at=started,
        finished_at=finished,
        last_attempted_at=attempted or started,
        args=args or [],
        kwargs=kwargs,
        backend=alias or task.backend,
        errors=errors or [],
        worker_ids=workers or [],
    )


def _error(task: Task[..., Any], text: str) -> TaskError:
    """What is kept is a sentence, then a traceback. Its first word is the exception's class, without its module."""
    name = text.split("\n", 1)[0].split(":", 1)[0].strip()
    found = getattr(task.func, "__globals__", {}).get(name) or vars(builtins).get(name)
    path = f"{found.__module__}.{found.__qualname__}" if isinstance(found, type) else name
    return TaskError(exception_class_path=path, traceback=text)


def _moment(ms: int) -> datetime:
    moment = datetime.fromtimestamp(ms / 1_000, UTC)
    return moment if settings.USE_TZ else timezone.make_naive(moment)


def _now() -> datetime:
    return timezone.now()
