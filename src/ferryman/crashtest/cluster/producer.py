"""Producer: enqueues the planned tasks from inside the cluster, tells the collector of each, and watches the queue.

What it prints, a line of JSON every second, is what the crash test knows of the queue while it runs: `kubectl logs`
needs no way into Redis. It is never killed, and it looks at every task in the end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from ferryman.crashtest.cluster.remote_log import Line
from ferryman.crashtest.feeder import Feeder
from ferryman.crashtest.plan import PlannedTask
from ferryman.crashtest.verdict import LastSeen
from ferryman.errors import BrokerError
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.queue import Queue
from ferryman.task import TaskState

_TELL_EVERY_S: Final = 1.0
_READ_AT_ONCE: Final = 200


class Producer:
    """Feeds `queue` with `tasks` over a time."""

    def __init__(self, queue: Queue, link: Link, collector: Line, tasks: Sequence[PlannedTask], over_ms: int) -> None:
        self._inspector = Inspector(queue.name)
        self._link = link
        self._collector = collector
        self._feeder = Feeder(queue, tasks, over_ms)
        self._told = 0

    async def run(self) -> None:
        """Prints figures until it is cancelled."""
        feeding = asyncio.create_task(self._feeder.run())
        while True:
            if feeding.done():
                feeding.result()
            fed = feeding.done()
            await self._tell_accepted()
            report: dict[str, Any] = {"accepted": self._told, "fed": fed, "resent": self._feeder.resent}
            with suppress(BrokerError):  # Redis is away, on purpose
                report |= (await self._link.run(self._inspector.stats())).to_json_dict()
            print(json.dumps(report), flush=True)
            await asyncio.sleep(_TELL_EVERY_S)

    async def _tell_accepted(self) -> None:
        new = list(self._feeder.accepted)[self._told :]
        for task_id in new:
            await asyncio.to_thread(self._collector.send, f"accepted {task_id}")
        self._told += len(new)


async def examine(link: Link, queue: str, ids: Sequence[str]) -> dict[str, Any]:
    """Where Redis has each of `ids`, and its own figures. Those that are completed are left out.

    Raises BrokerError.
    """
    inspector = Inspector(queue)
    others: dict[str, Any] = {}
    for start in range(0, len(ids), _READ_AT_ONCE):
        some = ids[start : start + _READ_AT_ONCE]
        for task_id, task in zip(some, await link.run_all([inspector.get(id) for id in some]), strict=True):
            if isinstance(task, Exception):
                raise task
            seen = LastSeen(task.state, task.crashes, task.error) if task else LastSeen(None)
            if seen.state is not TaskState.COMPLETED:
                others[task_id] = asdict(seen)
    return {"stats": asdict(await link.run(inspector.stats())), "others": others}


def finals_of(answer: dict[str, Any], ids: Sequence[str]) -> dict[str, LastSeen]:
    """What `examine` found, read back from its JSON."""
    others = {
        task_id: LastSeen(TaskState(seen["state"]) if seen["state"] else None, seen["crashes"], seen["error"])
        for task_id, seen in answer["others"].items()
    }
    return {task_id: others.get(task_id, LastSeen(TaskState.COMPLETED)) for task_id in ids}
