"""NewTask: a task on its way in, and the answer to its enqueue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from ferryman.errors import InvalidTask
from ferryman.task import MAX_PRIORITY, check_task_id, check_task_name

#: Lua passes a few thousand values to one command.
PLAIN_AT_MOST: Final = 1000

_UNIQUE = re.compile(r"[\x21-\x7e]{1,200}")


class NewTask(msgspec.Struct, frozen=True, gc=False):
    """A task on its way in. `args` is a JSON object; `options` is JSON too, or empty.

    A Struct because one is made per task, as are Enqueued and WorkItem: a frozen dataclass takes ten times as long.
    """

    id: str
    name: str
    args: bytes
    options: bytes = b""
    delay_ms: int = 0
    run_at_ms: int = 0  # epoch; 0 = as soon as `delay_ms` has passed
    priority: int = 0  # higher runs earlier
    unique: str = ""  # no second task with this key until this one has ended
    terms: bytes = b""  # JSON of ferryman.terms.Terms, or empty: what few tasks ask for


class Enqueued(msgspec.Struct, frozen=True, gc=False):
    """The answer to an enqueue. `created` is False when a task with this id or unique key already existed."""

    id: str
    created: bool


def check_new_task(task: NewTask) -> None:
    """Raise InvalidTask when Redis must not see this task."""
    check_task_id(task.id)
    check_task_name(task.name)
    if not -MAX_PRIORITY <= task.priority <= MAX_PRIORITY:
        raise InvalidTask("priority", f"{task.priority} is not within ±{MAX_PRIORITY}")
    if task.delay_ms < 0:
        raise InvalidTask("delay", f"{task.delay_ms} ms is negative")
    if task.run_at_ms < 0:
        raise InvalidTask("at", "lies before 1970")
    if task.unique and not _UNIQUE.fullmatch(task.unique):
        raise InvalidTask("unique", f"{task.unique[:40]!r} is not 1 to 200 printable ASCII characters without spaces")


def words_of(tasks: Sequence[NewTask]) -> list[str | bytes | int]:
    """Tasks as the enqueue script takes them: how many values each has, then these. Raises as check_new_task does.

    Nearly all are plain: they ask for nothing but to be run, and have four.
    """
    plain: list[str | bytes | int] = [4]
    for task in tasks:
        if task.terms or task.unique or task.delay_ms or task.run_at_ms or task.priority:
            break
        check_task_id(task.id)
        check_task_name(task.name)
        plain += (task.id, task.name, task.args, task.options)
    else:
        if len(tasks) == 1 or 1 < len({task.id for task in tasks}) == len(tasks) <= PLAIN_AT_MOST:
            return plain
    words: list[str | bytes | int] = [9]
    for task in tasks:
        check_new_task(task)
        words += (task.id, task.name, task.args, task.options)
        words += (task.delay_ms, task.run_at_ms, task.priority, task.unique, task.terms)
    return words
