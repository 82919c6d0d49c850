"""Feeder: the producer of a crash test: enqueues the planned tasks while things are being killed.

A third of them at once, so that there is a backlog, the rest evenly over the time of the kills, as do the workflows and
the bursts with a unique key. With a poster, a fifth of the rest goes over HTTP. An enqueue that fails is sent again
until it is answered: an id that exists already is the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, TypeVar

from ferryman.crashtest.app import JOINED
from ferryman.crashtest.bursts import Answer, PlannedBurst
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import PlannedFlow, PlannedTask
from ferryman.crashtest.poster import NotAccepted, Poster
from ferryman.errors import BrokerUnavailable
from ferryman.new_task import Enqueued
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
#: Between the first two enqueues of a burst and the third.
_BURST_S: Final = 0.1


class Feeder:
    """`accepted` grows: id -> when its enqueue was answered. `posted` of them over HTTP.

    `answers` has every enqueue with a unique key; those that found it taken are not accepted.
    """

    def __init__(
        self,
        queue: Queue,
        tasks: Sequence[PlannedTask],
        over_ms: int,
        poster: Poster | None = None,
        flows: Sequence[PlannedFlow] = (),
        bursts: Sequence[PlannedBurst] = (),
    ) -> None:
        self._queue = queue
        self._tasks = tasks
        self._flows = flows
        self._bursts = bursts
        self._over_s = over_ms / 1_000
        self._poster = poster
        self.accepted: dict[str, float] = {}
        self.answers: list[Answer] = []
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
            group.create_task(self._feed(self._bursts, start_s, self._enqueue_bursts))
            await self._enqueue(self._tasks[:first])
            await self._feed([task for task in rest if task not in own], start_s, self._enqueue)

    async def _feed(self, tasks: Sequence[T], start_s: float, send: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        for due_s, batch in _portions(tasks, self._over_s):
            await asyncio.sleep(max(0.0, start_s + due_s - asyncio.get_running_loop().time()))
            await send(batch)

    async def _enqueue(self, batch: Sequence[PlannedTask]) -> None:
        replies = await self._answered([self._item(task) for task in batch])
        self.accepted.update(dict.fromkeys((reply.id for reply in replies), now_ms()))

    async def _enqueue_bursts(self, bursts: Sequence[PlannedBurst]) -> None:
        for burst in bursts:
            for together in (burst.tasks[:-1], burst.tasks[-1:]):
                sent_ms = now_ms()
                replies = await self._answered([self._unique_item(task, burst) for task in together])
                at_ms = now_ms()
                for task, reply in zip(together, replies, strict=True):
                    # One that was sent again found its own task.
                    created = reply.created or reply.id == task.id
                    self.answers.append(Answer(task.id, burst.key, burst.window_ms, sent_ms, at_ms, created))
                    if created:
                        self.accepted[task.id] = at_ms
                await asyncio.sleep(_BURST_S)

    async def _answered(self, items: Sequence[WorkItem]) -> list[Enqueued]:
        while True:
            try:
                return await self._queue.enqueue_many(items)
            except BrokerUnavailable:
                self.resent += 1
                await asyncio.sleep(_RESEND_S)

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
                joined = self._queue.handlers[JOINED].options(priority=task.priority, lane=task.lane or None)
                item = joined.task(**args, after=list(after), results=results)
            else:
                item = self._queue.named(task.name, args, priority=task.priority, lane=task.lane or None)
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
        delay_s, lane = task.delay_ms / 1_000 or None, task.lane or None
        return self._queue.named(task.name, args, id=task.id, delay=delay_s, priority=task.priority, lane=lane)

    def _unique_item(self, task: PlannedTask, burst: PlannedBurst) -> WorkItem:
        return self._queue.named(task.name, {"ms": task.ms, "fails": task.fails}, **burst.options(task.id))


def _portions(tasks: Sequence[T], over_s: float) -> Iterator[tuple[float, Sequence[T]]]:
    """(when, in seconds from the start; which)."""
    steps = max(1, round(over_s / _EVERY_S))
    for step in range(steps):
        portion = tasks[len(tasks) * step // steps : len(tasks) * (step + 1) // steps]
        if portion:
            yield (step + 1) * over_s / steps, portion
