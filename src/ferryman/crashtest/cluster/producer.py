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
from ferryman.crashtest.plan import Work
from ferryman.crashtest.verdict import LastSeen
from ferryman.errors import BrokerError
from ferryman.inspector import Inspector
from ferryman.lane_figures import read_lanes
from ferryman.link import Link
from ferryman.queue import Queue
from ferryman.task import TaskState

_TELL_EVERY_S: Final = 1.0
_READ_AT_ONCE: Final = 200


class Producer:
    """Feeds `queue` with `work` over a time. The queue must have the handlers, as a join names one."""

    def __init__(self, queue: Queue, link: Link, collector: Line, work: Work, over_ms: int) -> None:
        self._inspector = Inspector(queue.name)
        self._link = link
        self._collector = collector
        self._feeder = Feeder(queue, work.tasks, over_ms, flows=work.flows)
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
    """Where Redis has each of `ids`, its own figures, and how many lanes it keeps. Those that are completed are left
    out, but for how often a node that waited for others was released.

    Raises BrokerError.
    """
    inspector = Inspector(queue)
    others: dict[str, Any] = {}
    released: dict[str, int] = {}
    stats = await link.run(inspector.stats(exact=True))
    for start in range(0, len(ids), _READ_AT_ONCE):
        some = ids[start : start + _READ_AT_ONCE]
        for task_id, task in zip(some, await link.run_all([inspector.get(id) for id in some]), strict=True):
            if isinstance(task, Exception):
                raise task
            seen = LastSeen.of(task)
            if seen.released:
                released[task_id] = seen.released
            if seen.state is not TaskState.COMPLETED:
                others[task_id] = asdict(seen)
    lanes = (await link.run(read_lanes(queue))).lanes
    return {"stats": asdict(stats), "others": others, "released": released, "lanes": lanes}


def finals_of(answer: dict[str, Any], ids: Sequence[str]) -> dict[str, LastSeen]:
    """What `examine` found, read back from its JSON."""
    others = {
        task_id: LastSeen(**{**seen, "state": TaskState(seen["state"]) if seen["state"] else None})
        for task_id, seen in answer["others"].items()
    }
    released = answer["released"]
    return {
        task_id: others.get(task_id, LastSeen(TaskState.COMPLETED, released=released.get(task_id, 0)))
        for task_id in ids
    }
