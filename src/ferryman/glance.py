"""Glances: a few words of each of many tasks, small enough to be read again every second over a slow link.

A task's record may carry a megabyte of arguments; `Inspector.get` reads that, one task at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ferryman.task_view import progress_text

#: Of a task's error; the first line says what happened.
ERROR_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Glance:
    """What fits into a line of a list."""

    id: str
    name: str
    attempt: int  # attempts spent
    crashes: int
    since_s: float  # for how long it has been held, or dead
    error: str  # its beginning
    progress: str = ""  # how far its run has come, in words


@dataclass(frozen=True, slots=True)
class Glances:
    """A page of tasks; there are `total` of them."""

    total: int
    tasks: tuple[Glance, ...]


def read_glances(reply: Any) -> Glances:
    """The reply of the script `glance`."""
    now_ms, total, *rows = reply
    return Glances(int(total), tuple(_glance(int(now_ms), row) for row in rows))


def _glance(now_ms: int, row: Any) -> Glance:
    id, name, attempt, crashes, since_ms, error, progress = (word.decode("utf-8", "replace") for word in row)
    since = _number(since_ms)
    return Glance(
        id=id,
        name=name,
        attempt=_number(attempt),
        crashes=_number(crashes),
        since_s=max(0, now_ms - since) / 1000 if since else 0.0,
        error=error,
        progress=_said(progress),
    )


def _said(progress: str) -> str:
    try:
        said = msgspec.json.decode(progress, type=dict[str, Any]) if progress else None
    except msgspec.MsgspecError:
        return ""
    return progress_text(said) if said else ""


def _number(word: str) -> int:
    """What is damaged counts as 0: a list is for people to see, and must not fail over one of its tasks."""
    try:
        return int(float(word))
    except (ValueError, OverflowError):
        return 0
