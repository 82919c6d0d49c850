"""Feeder: the producer of a crash test: enqueues the planned tasks while things are being killed.

A third of them at once, so that there is a backlog, the rest evenly over the time of the kills. With a poster, a
fifth of the rest goes over HTTP. An enqueue that fails is sent again until it is answered: an id that exists already
is the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeVar

from ferryman.crashtest.app import JOINED
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import PlannedFlow, PlannedTask
from ferryman.crashtest.poster import NotAccepted, Poster
from ferryman.errors import BrokerUnavailable
from ferryman.queue import Queue
from ferryman.sending import WorkItem
from ferryman.workflow import Node, Workflow

T = TypeVar("T")

_AT_ONCE: Final = 1 / 3
#: Of what is not sent at once, one task in so many goes over HTTP.
_ONE_IN: Final = 5
#: Short, so that at any moment some tasks are running.
_EVERY_S: Final = 0.05
_RESEND_S: Final = 0.2


class Feeder:
    """`accepted` grows: id -> when its enqueue was answered. `posted` of them over HTTP."""

    def __init__(
        self,
        queue: Queue,
        tasks: Sequence[PlannedTask],
        over_ms: int,
        poster: Poster | None = None,
        flows: Sequence[PlannedFlow] = (),
    ) -> None:
        self._queue = queue
        self._tasks = tasks
        self._flows = flows
        self._over_s = over_ms / 1_000
        self._poster = poster
        self.accepted: dict[str, float] = {}
        self.resent = 0
        self.posted = 0
        self.posted_again = 0

    async def run(self) -> None:
        """Until all are accepted."""
        start_s = asyncio.get_running_loop().time()
        first = round(len(self._tasks) * _AT_ONCE)
        rest = self._tasks[first:]
        posted = rest[::_ONE_IN] if self._poster is not None else ()
        own = set(posted)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed(posted, start_s, self._post))
            group.create_task(self._feed(self._flows, start_s, self._enqueue_flows))
            await self._enqueue(self._tasks[:first])
            await self._feed([task for task in rest if task not in own], start_s, self._enqueue)

    async def _feed(self, tasks: Sequence[T], start_s: float, send: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        for due_s, batch in _portions(tasks, self._over_s):
            await asyncio.sleep(max(0.0, start_s + due_s - asyncio.get_running_loop().time()))
            await send(batch)

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

    async def _enqueue_flows(self, flows: Sequence[PlannedFlow]) -> None:
        for planned in flows:
            flow = self._flow(planned)
            while True:
                try:
                    await flow.enqueue()
                except BrokerUnavailable:
                    self.resent += 1
                    await asyncio.sleep(_RESEND_S)
                else:
                    self.accepted.update(dict.fromkeys((task.id for task, _ in planned.nodes), now_ms()))
                    break

    def _flow(self, planned: PlannedFlow) -> Workflow:
        """Failures are ignored: kills may cost a node its crash budget, and what waits for it must run all the same."""
        flow = Workflow(planned.id)
        for task, after in planned.nodes:
            args: dict[str, object] = {"ms": task.ms, "fails": task.fails}
            if after:
                results = [Node(before.partition(":")[2], planned.id).result for before in after]
                joined = self._queue.handlers[JOINED].options(priority=task.priority)
                item = joined.task(**args, after=list(after), results=results)
            else:
                item = self._queue.named(task.name, args, priority=task.priority)
            flow.add(item, name=task.id.partition(":")[2], on_failure="ignore")
        return flow

    async def _post(self, batch: Sequence[PlannedTask]) -> None:
        assert self._poster is not None
        while True:
            try:
                ids = await self._poster.post(batch)
            except NotAccepted:
                self.posted_again += 1
                await asyncio.sleep(_RESEND_S)
            else:
                self.accepted.update(dict.fromkeys(ids, now_ms()))
                self.posted += len(ids)
                return

    def _item(self, task: PlannedTask) -> WorkItem:
        args: dict[str, object] = {"ms": task.ms, "fails": task.fails}
        delay_s = task.delay_ms / 1_000 or None
        return self._queue.named(task.name, args, id=task.id, delay=delay_s, priority=task.priority)


def _portions(tasks: Sequence[T], over_s: float) -> Iterator[tuple[float, Sequence[T]]]:
    """(when, in seconds from the start; which)."""
    steps = max(1, round(over_s / _EVERY_S))
    for step in range(steps):
        portion = tasks[len(tasks) * step // steps : len(tasks) * (step + 1) // steps]
        if portion:
            yield (step + 1) * over_s / steps, portion
