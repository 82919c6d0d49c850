"""Producer: sends new tasks to one queue: new -> waiting or delayed.

What is sent when is in `enqueue_steps`. A lone task is sent without them, unless something is to be done besides;
coroutines that enqueue at once share their calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ferryman.attendance import Attendance
from ferryman.enqueue_steps import EnqueueSteps
from ferryman.errors import BrokerUnavailable, NotReplicated
from ferryman.link import Link, SyncLink
from ferryman.middleware import Around, Outgoing
from ferryman.new_task import Enqueued
from ferryman.pools import link_for, sync_link_for
from ferryman.replication import ReplicaWait
from ferryman.sending import WorkItem, sending
from ferryman.steps import Steps, drive, drive_sync
from ferryman.traffic import Traffic, Waiting


class Producer:
    """Enqueues tasks of one queue. Opens nothing before the first one.

    `wait` is for how many replicas an enqueue waits; None leaves that to the environment at the first one. `around`
    is what middlewares put around each enqueue.
    """

    def __init__(
        self,
        queue: str,
        redis_url: str | None = None,
        wait: ReplicaWait | None = None,
        around: tuple[Around[Sequence[Outgoing]], ...] = (),
    ) -> None:
        self.queue = queue
        self._redis_url = redis_url
        self._around = around
        self._steps = EnqueueSteps(queue, wait)
        self._traffic: WeakKeyDictionary[Link | SyncLink, Traffic] = WeakKeyDictionary()
        self._flushes: set[asyncio.Task[None]] = set()

    def enqueue(self, item: WorkItem) -> Coroutine[Any, Any, Enqueued]:
        """Enqueue one task: at once when nobody else does, otherwise with those of the same tick of the loop.

        Raises BrokerUnavailable when Redis does not answer (the task may have been accepted all the same),
        NotReplicated (it was accepted), QueueFull, BrokerRefused or ProtocolMismatch.
        """
        return self._enqueue_wrapped(item) if self._around else self._enqueue_one(item)

    def enqueue_sync(self, item: WorkItem) -> Enqueued:
        """The same, blocking; for any thread."""
        if self._around:
            return self.enqueue_many_sync((item,))[0]
        link = sync_link_for(self._redis_url)
        self._steps.check(item)
        traffic, started_s = self._traffic_on(link), time.monotonic()
        if started_s > traffic.announce_at_s:
            return drive_sync(link, self._steps.batch(traffic, (item,)))[0]
        call = self._steps.call((item.task,))
        try:
            replies = link.run(call)
        except BrokerUnavailable as error:
            again = self._steps.again(traffic, (item,), call, started_s, error)
        else:
            self._steps.tell((item,), replies)
            return replies[0]
        return drive_sync(link, again)[0]

    async def enqueue_many(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """Enqueue tasks batch by batch, in order, and return their replies in the same order.

        `items` is consumed as it goes, one batch ahead, so it may be a generator of millions. When a batch
        fails, the batches before it stay enqueued; the error has a note that says how many tasks that is. Raises as
        enqueue does.
        """
        link = self.link()
        traffic = self._traffic_on(link)
        return await self._send(link, traffic, self._steps.many(traffic, items, self._around))

    def enqueue_many_sync(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        link = self.sync_link()
        return drive_sync(link, self._steps.many(self._traffic_on(link), items, self._around))

    async def enqueue_workflow(self, flow: str, parts: Sequence[Sequence[WorkItem]]) -> list[Enqueued]:
        """Enqueue the nodes of a workflow, in order; when there are several parts, its first nodes are released last.

        Raises as enqueue does, and InvalidTask when it was given up half sent.
        """
        link = self.link()
        traffic = self._traffic_on(link)
        return await self._send(link, traffic, self._steps.workflow(traffic, flow, parts, self._around))

    def enqueue_workflow_sync(self, flow: str, parts: Sequence[Sequence[WorkItem]]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        link = self.sync_link()
        return drive_sync(link, self._steps.workflow(self._traffic_on(link), flow, parts, self._around))

    def link(self) -> Link:
        """The link of the running loop."""
        return link_for(self._redis_url)

    def sync_link(self) -> SyncLink:
        """The link of this process's threads."""
        return sync_link_for(self._redis_url)

    def attendance(self) -> tuple[Link, Attendance]:
        """Where coroutines of the running loop wait for the ends of tasks, and the link for it."""
        link = self.link()
        traffic = self._traffic_on(link)
        if traffic.attendance is None:
            traffic.attendance = Attendance(self.queue)
        return link, traffic.attendance

    async def _enqueue_wrapped(self, item: WorkItem) -> Enqueued:
        with sending(self._around, (item,)) as [wrapped]:
            return await self._enqueue_one(wrapped)

    async def _enqueue_one(self, item: WorkItem) -> Enqueued:
        link = link_for(self._redis_url)
        traffic = self._traffic_on(link)
        self._steps.check(item)
        if traffic.under_way:
            return await self._gather(link, traffic, item)
        started_s = time.monotonic()
        if started_s > traffic.announce_at_s:
            return (await self._send(link, traffic, self._steps.batch(traffic, (item,))))[0]
        call = self._steps.call((item.task,))
        traffic.under_way += 1
        try:
            replies = await link.run(call)
        except BrokerUnavailable as error:
            again = self._steps.again(traffic, (item,), call, started_s, error)
        else:
            self._steps.tell((item,), replies)
            return replies[0]
        finally:
            traffic.under_way -= 1
        return (await self._send(link, traffic, again))[0]

    def _gather(self, link: Link, traffic: Traffic, item: WorkItem) -> asyncio.Future[Enqueued]:
        loop = asyncio.get_running_loop()
        if not traffic.gathered:
            loop.call_soon(self._flush, link, traffic)
        accepted: asyncio.Future[Enqueued] = loop.create_future()
        traffic.gathered.append((item, accepted))
        return accepted

    def _flush(self, link: Link, traffic: Traffic) -> None:
        gathered, traffic.gathered = traffic.gathered, []
        flush = asyncio.create_task(self._send_gathered(link, traffic, gathered))
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)

    async def _send_gathered(self, link: Link, traffic: Traffic, gathered: Sequence[Waiting]) -> None:
        try:
            replies = await self._send(link, traffic, self._steps.many(traffic, [item for item, _ in gathered], ()))
        except BaseException as error:
            # Whoever waits must hear of it, whatever it is.
            for (_, accepted), own in zip(gathered, _shares(error, len(gathered)), strict=True):
                if not accepted.done():
                    accepted.set_exception(own) if isinstance(own, Exception) else accepted.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for (_, accepted), reply in zip(gathered, replies, strict=True):
                if not accepted.done():
                    accepted.set_result(reply)

    async def _send(self, link: Link, traffic: Traffic, steps: Steps[list[Enqueued]]) -> list[Enqueued]:
        traffic.under_way += 1
        try:
            return await drive(link, steps)
        finally:
            traffic.under_way -= 1

    def _traffic_on(self, link: Link | SyncLink) -> Traffic:
        found = self._traffic.get(link)
        if found is None:
            found = self._traffic[link] = Traffic()
        return found


def _shares(error: BaseException, count: int) -> list[BaseException]:
    """The error for each of `count` callers who share a batch; of accepted tasks it names their own only."""
    if isinstance(error, NotReplicated) and len(error.accepted) == count:
        return [NotReplicated([own], error.replicas, error.wanted, error.reason) for own in error.accepted]
    return [error] * count
