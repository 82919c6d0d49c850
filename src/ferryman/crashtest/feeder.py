"""Feeder: the producer of a crash test: enqueues the planned tasks while things are being killed.

A third of them at once, so that there is a backlog, the rest evenly over the time of the kills. An enqueue that
fails is sent again until it is answered: an id that exists already is the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import PlannedTask
from ferryman.errors import BrokerUnavailable
from ferryman.producer import WorkItem
from ferryman.queue import Queue

_AT_ONCE: Final = 1 / 3
#: Short, so that at any moment some tasks are running.
_EVERY_S: Final = 0.05
_RESEND_S: Final = 0.2


class Feeder:
    """`accepted` grows: id -> when its enqueue was answered."""

    def __init__(self, queue: Queue, tasks: Sequence[PlannedTask], over_ms: int) -> None:
        self._queue = queue
        self._tasks = tasks
        self._over_s = over_ms / 1_000
        self.accepted: dict[str, float] = {}
        self.resent = 0

    async def run(self) -> None:
        """Until all are accepted."""
        start = asyncio.get_running_loop().time()
        for due_s, batch in _portions(self._tasks, self._over_s):
            await asyncio.sleep(max(0.0, start + due_s - asyncio.get_running_loop().time()))
            await self._enqueue(batch)

    async def _enqueue(self, batch: Sequence[PlannedTask]) -> None:
        items = [self._item(task) for task in batch]
        while True:
            try:
                replies = await self._queue.enqueue_many(items)
            except BrokerUnavailable:
                self.resent += 1
                await asyncio.sleep(_RESEND_S)
            else:
                at_ms = now_ms()
                self.accepted.update((reply.id, at_ms) for reply in replies)
                return

    def _item(self, task: PlannedTask) -> WorkItem:
        args: dict[str, object] = {"ms": task.ms, "fails": task.fails}
        delay_s = task.delay_ms / 1_000 or None
        return self._queue.named(task.name, args, id=task.id, delay=delay_s, priority=task.priority)


def _portions(tasks: Sequence[PlannedTask], over_s: float) -> Iterator[tuple[float, Sequence[PlannedTask]]]:
    """(when, in seconds from the start; which)."""
    first = round(len(tasks) * _AT_ONCE)
    steps = max(1, round(over_s / _EVERY_S))
    yield 0.0, tasks[:first]
    rest = tasks[first:]
    for step in range(steps):
        portion = rest[len(rest) * step // steps : len(rest) * (step + 1) // steps]
        if portion:
            yield (step + 1) * over_s / steps, portion
