"""Ground: the queue of a crash test in Redis: claimed before, looked at while it is used, swept afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from ferryman.call import command
from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.verdict import LastSeen
from ferryman.errors import BrokerError
from ferryman.inspector import Inspector, QueueStats
from ferryman.keys import QUEUES
from ferryman.lane_figures import read_lanes
from ferryman.link import Link
from ferryman.policy import Policy, QueuePolicy

_READ_AT_ONCE: Final = 200
_SCANNED_AT_ONCE: Final = 1_000


class Ground:
    """The queue, over a link that no fault of the test hits."""

    def __init__(self, queue: str, link: Link) -> None:
        self._queue = queue
        self._link = link
        self._inspector = Inspector(queue)

    async def claim(self, tasks: int) -> None:
        """Makes it ready for so many tasks. Raises CommandFailed when somebody uses this queue."""
        stats = await self._link.run(self._inspector.stats())
        if stats.enqueued or stats.workers:
            raise CommandFailed(
                f"the queue {self._queue} is in use here: {stats.enqueued:,} tasks were enqueued to it and "
                f"{stats.workers} workers run. Choose another --queue; a crash test needs one of its own."
            )
        # The status of every task is kept to the end, so that "completed" and "never existed" differ for each id.
        policy = {"completed_max": max(2 * tasks, Policy().completed_max), "completed_ms": 86_400_000}
        await self._link.run(QueuePolicy(self._queue).write(policy, generation=1))

    async def figures(self) -> QueueStats | None:
        """None while Redis is away, on purpose; the next look finds it."""
        with suppress(BrokerError):
            return await self._link.run(self._inspector.stats())
        return None

    async def lanes(self) -> int:
        """How many lanes there are, with tasks in them or running."""
        return (await self._link.run(read_lanes(self._queue))).lanes

    async def stats(self) -> QueueStats:
        """The queue's figures, for a proof. Raises BrokerError."""
        return await self._link.run(self._inspector.stats(exact=True))

    async def last_look(self, ids: Sequence[str]) -> dict[str, LastSeen]:
        """Where each task is. Raises BrokerError."""
        finals = {}
        for some in _batches(ids, _READ_AT_ONCE):
            looks = [self._inspector.get(task_id) for task_id in some]
            for task_id, task in zip(some, await self._link.run_all(looks), strict=True):
                if isinstance(task, Exception):
                    raise task
                finals[task_id] = LastSeen.of(task)
        return finals

    async def sweep(self) -> None:
        """Leaves nothing in a Redis that is not ours, the name in the list of queues included: it never comes back."""
        cursor, pattern = 0, self._inspector.keys.root + "*"
        while True:
            cursor, found = await self._link.run(
                command("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED_AT_ONCE, read=_scanned)
            )
            if found:
                await self._link.run(command("UNLINK", *found, read=int))
            if not cursor:
                break
        await self._link.run(command("SREM", QUEUES, self._queue, read=int))


def _scanned(reply: Any) -> tuple[int, list[bytes]]:
    return int(reply[0]), reply[1]


def _batches(ids: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
