"""A task as JSON for people and programs outside: what `show --json`, `tasks --json` and the HTTP API print.

A stable contract: fields are added, never renamed. Times are RFC 3339 in UTC; what does not apply is null.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from ferryman.task import Task


def task_view(task: Task) -> dict[str, Any]:
    """The fields of `task`, ready for a JSON encoder."""
    return {
        "id": task.id,
        "queue": task.queue,
        "task": task.name,
        "state": task.state.value,
        "args": _decoded(task.args),
        "options": _decoded(task.options),
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
