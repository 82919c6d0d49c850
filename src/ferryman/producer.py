"""Producer: sends new tasks to one queue: new -> waiting or delayed.

What is sent when is written once, as a generator of steps, and driven by either kind of link. An enqueue whose
reply was lost is sent again: the id was made here, so the second one finds the first one's task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from ferryman.attendance import Attendance
from ferryman.batches import BATCH_TASKS, batches
from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.enqueue_log import tell_enqueued
from ferryman.errors import BrokerUnavailable, InvalidTask, NotReplicated
from ferryman.link import Link, SyncLink
from ferryman.middleware import Around, Outgoing
from ferryman.new_task import Enqueued
from ferryman.pools import link_for, replica_wait, sync_link_for
from ferryman.replication import ReplicaWait
from ferryman.sending import WorkItem, sending
from ferryman.steps import Ahead, Overlapped, Step, Steps, drive, drive_sync

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Waits before a lost enqueue is sent again (seconds), and how long after the first one no more are sent.
RESEND_PAUSES_S: Final = (0.05, 0.25)
RESEND_WITHIN_S: Final = 3.0

#: How often a process repeats that its queue exists (seconds), in case someone flushed that.
ANNOUNCE_EVERY_S: Final = 600.0

#: A task on its way, and who waits for its reply.
Waiting = tuple[WorkItem, asyncio.Future[Enqueued]]


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
        self._wait = wait
        self._around = around
        self._broker = Broker(queue)
        self._announced_s: WeakKeyDictionary[Link | SyncLink, float] = WeakKeyDictionary()
        self._busy: WeakKeyDictionary[Link, int] = WeakKeyDictionary()
        self._attendances: WeakKeyDictionary[Link, Attendance] = WeakKeyDictionary()
        self._gathered: dict[Link, list[Waiting]] = {}
        self._flushes: set[asyncio.Task[None]] = set()

    async def enqueue(self, item: WorkItem) -> Enqueued:
        """Enqueue one task: at once when nobody else does, otherwise with those of the same tick of the loop.

        Raises BrokerUnavailable when Redis does not answer (the task may have been accepted all the same),
        NotReplicated (it was accepted), QueueFull, BrokerRefused or ProtocolMismatch.
        """
        if not self._around:
            return await self._enqueue_one(item)
        with sending(self._around, (item,)) as [wrapped]:
            return await self._enqueue_one(wrapped)

    def enqueue_sync(self, item: WorkItem) -> Enqueued:
        """The same, blocking; for any thread."""
        if self._around:
            return self.enqueue_many_sync((item,))[0]
        link = sync_link_for(self._redis_url)
        return drive_sync(link, self._enqueue_batch(link, (_of_queue(self.queue, item),)))[0]

    async def enqueue_many(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """Enqueue tasks batch by batch, in order, and return their replies in the same order.

        `items` is consumed as it goes, one batch ahead, so it may be a generator of millions. When a batch
        fails, the batches before it stay enqueued; the error has a note that says how many tasks that is. Raises as
        enqueue does.
        """
        link = link_for(self._redis_url)
        return await self._send(link, self._enqueue(link, items, self._around))

    def enqueue_many_sync(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        link = sync_link_for(self._redis_url)
        return drive_sync(link, self._enqueue(link, items, self._around))

    async def enqueue_workflow(self, flow: str, parts: Sequence[Sequence[WorkItem]]) -> list[Enqueued]:
        """Enqueue the nodes of a workflow, in order; when there are several parts, its first nodes are released last.

        Raises as enqueue does, and InvalidTask when it was given up half sent.
        """
        link = link_for(self._redis_url)
        return await self._send(link, self._enqueue_workflow(link, flow, parts))

    def enqueue_workflow_sync(self, flow: str, parts: Sequence[Sequence[WorkItem]]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        link = sync_link_for(self._redis_url)
        return drive_sync(link, self._enqueue_workflow(link, flow, parts))

    def link(self) -> Link:
        """The link of the running loop."""
        return link_for(self._redis_url)

    def sync_link(self) -> SyncLink:
        """The link of this process's threads."""
        return sync_link_for(self._redis_url)

    def attendance(self) -> tuple[Link, Attendance]:
        """Where coroutines of the running loop wait for the ends of tasks, and the link for it."""
        link = self.link()
        found = self._attendances.get(link)
        if found is None:
            found = self._attendances[link] = Attendance(self.queue)
        return link, found

    async def _enqueue_one(self, item: WorkItem) -> Enqueued:
        link = link_for(self._redis_url)
        if self._busy.get(link):
            return await self._gather(link, item)
        return (await self._send(link, self._enqueue_batch(link, (_of_queue(self.queue, item),))))[0]

    def _gather(self, link: Link, item: WorkItem) -> asyncio.Future[Enqueued]:
        loop = asyncio.get_running_loop()
        if link not in self._gathered:
            self._gathered[link] = []
            loop.call_soon(self._flush, link)
        accepted: asyncio.Future[Enqueued] = loop.create_future()
        self._gathered[link].append((item, accepted))
        return accepted

    def _flush(self, link: Link) -> None:
        flush = asyncio.create_task(self._send_gathered(link, self._gathered.pop(link)))
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)

    async def _send_gathered(self, link: Link, gathered: Sequence[Waiting]) -> None:
        try:
            replies = await self._send(link, self._enqueue(link, [item for item, _ in gathered], ()))
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

    async def _send(self, link: Link, steps: Steps[list[Enqueued]]) -> list[Enqueued]:
        self._busy[link] = self._busy.get(link, 0) + 1
        try:
            return await drive(link, steps)
        finally:
            self._busy[link] -= 1

    def _enqueue(
        self, link: Link | SyncLink, items: Iterable[WorkItem], around: Sequence[Around[Sequence[Outgoing]]]
    ) -> Steps[list[Enqueued]]:
        replies: list[Enqueued] = []
        try:
            parts = Ahead(batches(items, self._weighed))
            for batch in parts:
                if around:
                    with sending(around, batch) as wrapped:
                        replies += yield from self._enqueue_batch(link, wrapped)
                else:
                    # One that is not full is nearly always the last.
                    ahead = parts if len(batch) == BATCH_TASKS else None
                    replies += yield from self._enqueue_batch(link, batch, ahead)
        except Exception as error:
            if replies:
                error.add_note(f"{len(replies)} tasks were enqueued before this")
            raise
        return replies

    def _weighed(self, item: WorkItem) -> int:
        """What it weighs in a request. Raises InvalidTask when it can't be enqueued here."""
        if item.binds or item.queue != self.queue:
            _of_queue(self.queue, item)
        return len(item.task.args)

    def _enqueue_workflow(
        self, link: Link | SyncLink, flow: str, parts: Sequence[Sequence[WorkItem]]
    ) -> Steps[list[Enqueued]]:
        replies: list[Enqueued] = []
        with sending(self._around, [item for part in parts for item in part]) as wrapped:
            items = iter(wrapped)
            for part in parts:
                replies += yield from self._enqueue_batch(link, list(islice(items, len(part))))
        if len(parts) > 1:
            answer = yield from self._resent(self._broker.start_flow(flow))
            if answer != "started":
                raise InvalidTask(
                    "workflow", f"{flow} was given up half sent ({answer}); send it again under another id"
                )
        return replies

    def _resent(self, call: Call[T]) -> Steps[T]:
        """A call that may be sent again, after pauses."""
        for pause_s in RESEND_PAUSES_S:
            try:
                reply: T = yield call
            except BrokerUnavailable:
                yield pause_s
            else:
                return reply
        last: T = yield call
        return last

    def _enqueue_batch(
        self, link: Link | SyncLink, batch: Sequence[WorkItem], parts: Ahead[list[WorkItem]] | None = None
    ) -> Steps[list[Enqueued]]:
        """`parts` makes the next batch while Redis works on this one."""
        if self._wait is None:
            self._wait = replica_wait()
        call = self._wait.after(self._broker.enqueue([item.task for item in batch]))
        enqueue: Step = call if parts is None else Overlapped(call, parts.look)
        pauses = iter(RESEND_PAUSES_S)
        started_s = time.monotonic()
        is_resend = False
        while True:
            try:
                if self._is_announcement_due(link):
                    yield self._broker.announce()
                    self._announced_s[link] = time.monotonic()
                replies: list[Enqueued] = yield enqueue
                if is_resend:
                    replies = [_owned(item, reply) for item, reply in zip(batch, replies, strict=True)]
                if logger.isEnabledFor(logging.DEBUG):
                    for item, reply in zip(batch, replies, strict=True):
                        tell_enqueued(logger, self.queue, item.task, reply)
                return replies
            except BrokerUnavailable:
                pause_s = next(pauses, None)
                if pause_s is None or time.monotonic() - started_s > RESEND_WITHIN_S:
                    raise
            is_resend = True
            yield pause_s

    def _is_announcement_due(self, link: Link | SyncLink) -> bool:
        last_s = self._announced_s.get(link)
        return last_s is None or time.monotonic() - last_s > ANNOUNCE_EVERY_S


def _owned(item: WorkItem, reply: Enqueued) -> Enqueued:
    """A task found under an id made here is the one that the lost reply was about: it was created."""
    if item.own_id and not reply.created and reply.id == item.task.id:
        return Enqueued(reply.id, True)
    return reply


def _shares(error: BaseException, count: int) -> list[BaseException]:
    """The error for each of `count` callers who share a batch; of accepted tasks it names their own only."""
    if isinstance(error, NotReplicated) and len(error.accepted) == count:
        return [NotReplicated([own], error.replicas, error.wanted, error.reason) for own in error.accepted]
    return [error] * count


def _of_queue(queue: str, item: WorkItem) -> WorkItem:
    if item.binds:
        raise InvalidTask(
            next(iter(item.binds)), f"task {item.task.name!r} takes another's result, as only a workflow's node can"
        )
    if item.queue != queue:
        raise InvalidTask("queue", f"task {item.task.name!r} belongs to queue {item.queue!r}, not to {queue!r}")
    return item
