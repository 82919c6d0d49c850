"""Overview: what a person wants to see of queues and tasks, in bounded steps over the Inspector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ferryman.inspector import Inspector, QueueStats, queues_known
from ferryman.plan import Plan
from ferryman.task import Task, TaskState

_QUEUES_AT_ONCE: Final = 100
_TASKS_AT_ONCE: Final = 100


def figures_of(queues: Sequence[str] | None = None) -> Plan[list[QueueStats]]:
    """The figures of these queues; with None, of every queue that was ever used here."""
    if queues is None:
        [queues] = yield [queues_known()]
    named = queues or ()
    figures: list[QueueStats] = []
    for start in range(0, len(named), _QUEUES_AT_ONCE):
        figures += yield [Inspector(queue).stats() for queue in named[start : start + _QUEUES_AT_ONCE]]
    return figures


def tasks_in(queue: str, state: TaskState, limit: int, offset: int = 0) -> Plan[list[Task]]:
    """Up to `limit` tasks in `state`: whose turn is next first; of dead and completed the newest first."""
    inspector, end = Inspector(queue), offset + limit
    pages = yield [
        inspector.tasks(state, min(_TASKS_AT_ONCE, end - start), start) for start in range(offset, end, _TASKS_AT_ONCE)
    ]
    return [task for page in pages for task in page]


def remarks(stats: QueueStats) -> str:
    """What a person should notice about a queue, in a few words; empty when all is well."""
    noticed = []
    if stats.hold:
        noticed.append("held")
    if stats.waiting and not stats.workers and not stats.hold:
        noticed.append("no workers")
    if stats.orphaned:
        noticed.append(f"{stats.orphaned} in the hands of silent workers")
    if stats.parked:
        noticed.append(f"{stats.parked} parked: no worker knows their name")
    if stats.unaccounted:
        noticed.append(f"{stats.unaccounted} unaccounted")
    return ", ".join(noticed)


def severity(stats: QueueStats) -> int:
    """How soon a person should look at a queue: 0 not at all, 5 first of all."""
    if stats.unaccounted:
        return 5
    if stats.orphaned:
        return 4
    if stats.waiting and not stats.workers and not stats.hold:
        return 3
    if stats.parked:
        return 2
    return 1 if stats.dead or stats.hold else 0
