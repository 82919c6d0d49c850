"""A schedule as JSON for people and programs outside: what `ferryman schedules --json` and the HTTP API print.

A stable contract: fields are added, never renamed. Times are RFC 3339 in UTC; what does not apply is null.
"""

from __future__ import annotations

from typing import Any

from ferryman.due import next_fire
from ferryman.errors import InvalidTask
from ferryman.task_view import moment
from ferryman.timetable import Entries, Entry


def schedules_view(known: Entries) -> list[dict[str, Any]]:
    """All schedules of a queue, by name."""
    return [_view(entry, known.now_ms) for entry in known.entries]


def _view(entry: Entry, now_ms: int) -> dict[str, Any]:
    one = entry.schedule
    return {
        "name": one.name,
        "task": one.task,
        "cron": one.cron or None,
        "every_s": one.every_ms / 1000 if one.every_ms else None,
        "tz": one.tz,
        "dst": str(one.dst),
        "misfire": str(one.misfire),
        "overlap": str(one.overlap),
        "starting_deadline_s": one.deadline_ms / 1000 if one.deadline_ms else None,
        "suspended": one.suspend,
        "origin": str(entry.origin),
        "args": one.args,
        "last_fired_at": moment(entry.fired_ms),
        "last_task": entry.task or None,
        "next_at": moment(_next(entry, now_ms)),
    }


def _next(entry: Entry, now_ms: int) -> int:
    """An occurrence that has come and is not settled yet is the next one: somebody is late."""
    try:
        return next_fire(entry.schedule, now_ms if entry.settled_ms is None else entry.settled_ms) or 0
    except InvalidTask:
        return 0  # of a newer version, or in a time zone that is not known here
