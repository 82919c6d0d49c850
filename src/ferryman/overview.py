"""Overview: what a person wants to see of queues and tasks, in bounded steps over the Inspector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ferryman.inspector import COUNTED_WORKERS, Inspector, QueueStats, queues_known
from ferryman.plan import Plan
from ferryman.task import Task, TaskState

_QUEUES_AT_ONCE: Final = 100
_TASKS_AT_ONCE: Final = 100
_STEPS_AT_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """Tasks of a state, each once. Behind `next_offset` there may be more; None when there are not."""

    tasks: list[Task]
    next_offset: int | None


def figures_of(queues: Sequence[str] | None = None, *, exact: bool = False) -> Plan[list[QueueStats]]:
    """The figures of these queues; with None, of every queue that was ever used here. `exact` as in Inspector.stats."""
    if queues is None:
        [queues] = yield [queues_known()]
    named = queues or ()
    figures: list[QueueStats] = []
    for start in range(0, len(named), _QUEUES_AT_ONCE):
        figures += yield [Inspector(queue).stats(exact=exact) for queue in named[start : start + _QUEUES_AT_ONCE]]
    return figures


def tasks_in(queue: str, state: TaskState, limit: int, offset: int = 0) -> Plan[Listing]:
    """Up to `limit` tasks in `state`: whose turn is next first; of dead and completed the newest first.

    Step by step, as far as it takes, but no further than 200 steps: then there may be fewer, and more behind them.
    """
    inspector, over, taken, place = Inspector(queue), offset, 0, ""
    found: dict[str, Task] = {}
    for _ in range(_STEPS_AT_MOST):
        [page] = yield [inspector.page(state, min(_TASKS_AT_ONCE, limit - len(found)), over, place)]
        # A task that goes back and is fetched meanwhile may be met twice.
        found |= {task.id: task for task in page.tasks}
        over, taken, place = page.over, taken + page.taken, page.place
        if len(found) >= limit or not place:
            break
    return Listing(list(found.values()), offset - over + taken if place else None)


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
    if stats.unaccounted is None:
        noticed.append(f"active is not counted: more than {COUNTED_WORKERS:,} workers")
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
