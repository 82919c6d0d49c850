"""Records: what was enqueued since a test began, each task as it was then: a completed one forgets its arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ferryman.call import command
from ferryman.inspector import Inspector
from ferryman.keys import Keys
from ferryman.link import SyncLink
from ferryman.options import TaskOptions
from ferryman.task import Task

_COMPENSATION = b"n:undo:"


class Records:
    """In the order in which they were enqueued."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self._flows: dict[tuple[str, str], None] = {}
        self._undoing: set[tuple[str, str]] = set()

    def add(self, task: Task) -> None:
        """What a producer or a schedule has enqueued just now."""
        self.tasks.append(task)
        if task.flow:
            self._flows[task.queue, task.flow] = None

    def look_for_compensations(self, link: SyncLink) -> None:
        """No producer enqueues those: the script that ends a task does, one at a time. So look before each run."""
        flows = list(self._flows)
        if not flows:
            return
        failed = link.run_all([command("HGET", Keys(queue).flow(flow), "failed", read=bool) for queue, flow in flows])
        for (queue, flow), has_failed in zip(flows, failed, strict=True):
            if not has_failed:
                continue
            fields: list[bytes] = link.run(command("HKEYS", Keys(queue).flow(flow), read=list))
            ids = [f"{flow}:{field[2:].decode()}" for field in fields if field.startswith(_COMPENSATION)]
            new = [id for id in ids if (queue, id) not in self._undoing]
            found = [task for task in link.run_all([Inspector(queue).get(id) for id in new]) if task is not None]
            self.tasks += sorted(found, key=lambda task: (task.enqueued_ms, task.id))
            self._undoing.update((queue, id) for id in new)


def results_taken(link: SyncLink, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """By parameter: the results that these take from other tasks, as plain JSON, as far as there are any yet.

    A list of results is there when there is one, with None for those of tasks that have none.
    """
    taken: list[dict[str, Any]] = []
    for task in tasks:
        values: dict[str, Any] = {}
        for parameter, ids in (TaskOptions.decode(task.options).binds or {}).items():
            keys = [Keys(task.queue).result + id for id in ([ids] if isinstance(ids, str) else ids)]
            kept: list[bytes | None] = link.run(command("MGET", *keys, read=list))
            results = [json.loads(one[1:]) if one and one[:1] == b"=" else None for one in kept]
            if any(one and one[:1] == b"=" for one in kept):
                values[parameter] = results[0] if isinstance(ids, str) else results
        taken.append(values)
    return taken
