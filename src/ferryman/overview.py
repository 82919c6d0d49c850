"""Overview: what a person wants to see of queues and tasks, as plans over the Inspector and the WorkerRegistry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from ferryman.call import Call, command
from ferryman.inspector import Inspector, QueueStats, queues_known
from ferryman.keys import Keys
from ferryman.plan import Plan
from ferryman.task import Task, TaskState
from ferryman.workers import WorkerRegistry

_QUEUES_AT_ONCE: Final = 100
_TASKS_AT_ONCE: Final = 200


def figures_of(queues: Sequence[str] | None = None) -> Plan[list[QueueStats]]:
    """The figures of these queues; with None, of every queue that was ever used here."""
    if queues is None:
        [queues] = yield [queues_known()]
    figures: list[QueueStats] = []
    for start in range(0, len(queues or ()), _QUEUES_AT_ONCE):
        figures += yield [Inspector(queue).stats() for queue in (queues or ())[start : start + _QUEUES_AT_ONCE]]
    return figures


def task_of(queue: str, task_id: str) -> Plan[Task | None]:
    """One task, or None."""
    tasks = yield from _read(queue, [task_id])
    return tasks[0] if tasks else None


def tasks_in(queue: str, state: TaskState, limit: int, offset: int = 0) -> Plan[list[Task]]:
    """Up to `limit` tasks in `state`: whose turn is next first; of dead and completed the newest first.

    A snapshot by eye, not by script: tasks that move on while it is read are left out.
    """
    if state is TaskState.ACTIVE:
        ids = yield from _active(queue, limit, offset)
    elif state is TaskState.WAITING:
        # Markers stand at the front of the line for the tasks that have a priority, so the two windows line up.
        inspector = Inspector(queue)
        ranked, plain = yield [inspector.ranked(limit, offset), inspector.tasks(state, limit, offset)]
        ids = [*ranked, *plain]
    else:
        [ids] = yield [Inspector(queue).tasks(state, limit, offset)]
    tasks = yield from _read(queue, ids[:limit])
    return [task for task in tasks if task.state is state]


def _active(queue: str, limit: int, offset: int) -> Plan[list[str]]:
    registry = WorkerRegistry(queue)
    [rows] = yield [registry.list()]
    wanted = offset + limit
    busy = [row.id for row in rows if row.active]
    held = yield [registry.holding(worker, wanted) for worker in busy]
    return [task_id for tasks in held for task_id, _ in tasks][offset:wanted]


def _read(queue: str, ids: Sequence[str]) -> Plan[list[Task]]:
    inspector, tasks = Inspector(queue), []
    for start in range(0, len(ids), _TASKS_AT_ONCE):
        some = ids[start : start + _TASKS_AT_ONCE]
        replies = yield [call for task_id in some for call in (inspector.get(task_id), _run_at(queue, task_id))]
        for task, run_at_ms in zip(replies[::2], replies[1::2], strict=True):
            if task is not None:
                tasks.append(replace(task, run_at_ms=run_at_ms))
    return tasks


def _run_at(queue: str, task_id: str) -> Call[int]:
    def read(reply: Any) -> int:
        return int(float(reply)) if reply is not None else 0

    return command("ZSCORE", Keys(queue).delayed, task_id, read=read)
