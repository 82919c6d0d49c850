"""A task as JSON for people and programs outside: what `show --json`, `tasks --json` and the HTTP API print.

A stable contract: fields are added, never renamed. Times are RFC 3339 in UTC; what does not apply is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ferryman.history import PastRun
from ferryman.schedule import schedule_of
from ferryman.task import Task, TaskState


def task_view(task: Task) -> dict[str, Any]:
    """The fields of `task`, ready for a JSON encoder."""
    options, headers = _options_and_headers(task.options)
    return {
        "id": task.id,
        "queue": task.queue,
        "task": task.name,
        "state": task.state.value,
        "args": _decoded(task.args),
        "options": options,
        "headers": headers,
        "schedule": schedule_of(task.id, headers),
        "attempt": task.attempt,
        "deliveries": task.deliveries,
        "crashes": task.crashes,
        "priority": task.priority,
        "unique": task.unique or None,
        "workflow": task.flow or None,
        "lane": task.lane or None,
        "worker": task.worker or None,
        "enqueued_at": moment(task.enqueued_ms),
        "since": moment(task.since_ms),
        "run_at": moment(task.run_at_ms),
        "finished_at": moment(task.finished_ms),
        "expires_at": None if task.finished_ms else moment(task.expires_ms),
        "waits_for": waits_for(task),
        "why": task.why or None,
        "progress": _progress_view(task),
        "result": _decoded(task.result),
        "result_problem": task.result_problem or None,
        "error": task.error or None,
        "evidence": [_decoded(crash.encode()) for crash in task.evidence],
        "history": [_run_view(run) for run in task.history],
    }


def waits_for(task: Task) -> str | None:
    """What a blocked task waits for, in words; None for others."""
    if task.state is not TaskState.BLOCKED:
        return None
    if task.flow and not task.released:
        return f"other nodes of workflow {task.flow}"
    return f"its turn in lane {task.lane}" if task.lane else "its turn: the queue has a rate"


def _options_and_headers(options: bytes) -> tuple[Any, Any]:
    """They travel together, and are two things to people."""
    decoded = _decoded(options)
    if not isinstance(decoded, dict):
        return decoded, None
    headers = decoded.pop("headers", None)
    return decoded or None, headers


def _progress_view(task: Task) -> dict[str, Any] | None:
    said = _decoded(task.progress)
    if not isinstance(said, dict):
        return None
    total, note = said.get("total"), said.get("note")
    return {"done": said.get("done"), "total": total, "note": note or None, "at": moment(task.progress_ms)}


def progress_text(progress: Mapping[str, Any]) -> str:
    """`3 of 10 (30%): a note`, from the view of a task's progress."""
    done, total, note = progress.get("done"), progress.get("total"), progress.get("note")
    text = _figure(done)
    if isinstance(total, int | float) and isinstance(done, int | float):
        percent = f" ({100 * done / total:.0f}%)" if total > 0 else ""
        text += f" of {_figure(total)}{percent}"
    return f"{text}: {note}" if note else text


def _figure(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else "?"


def _run_view(run: PastRun) -> dict[str, Any]:
    return {
        "attempt": run.attempt,
        "started_at": moment(run.started_ms),
        "ended_at": moment(run.ended_ms),
        "run_s": None if run.run_ms is None else run.run_ms / 1000,
        "outcome": run.outcome,
        "worker": run.worker,
        "error": run.error or None,
    }


def _decoded(data: bytes) -> Any:
    """What the JSON says; the raw text when it is none, because a look at bad data must not fail."""
    if not data:
        return None
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return data.decode(errors="replace")


def moment(epoch_ms: int) -> str | None:
    """A time as RFC 3339 in UTC, or None for 0."""
    if not epoch_ms:
        return None
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
