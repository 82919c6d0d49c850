"""A task as JSON for people and programs outside: what `show --json`, `tasks --json` and the HTTP API print.

A stable contract: fields are added, never renamed. Times are RFC 3339 in UTC; what does not apply is null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from ferryman.history import PastRun
from ferryman.task import Task


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
        "attempt": task.attempt,
        "deliveries": task.deliveries,
        "crashes": task.crashes,
        "priority": task.priority,
        "unique": task.unique or None,
        "worker": task.worker or None,
        "enqueued_at": moment(task.enqueued_ms),
        "since": moment(task.since_ms),
        "run_at": moment(task.run_at_ms),
        "finished_at": moment(task.finished_ms),
        "result": _decoded(task.result),
        "error": task.error or None,
        "evidence": [_decoded(crash.encode()) for crash in task.evidence],
        "history": [_run_view(run) for run in task.history],
    }


def _options_and_headers(options: bytes) -> tuple[Any, Any]:
    """They travel together, and are two things to people."""
    decoded = _decoded(options)
    if not isinstance(decoded, dict):
        return decoded, None
    headers = decoded.pop("headers", None)
    return decoded or None, headers


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
