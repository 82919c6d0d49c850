"""Producer: sends new tasks to one queue: new -> waiting or delayed.

What is sent when is written once, as a generator of steps, and driven by either kind of link. An enqueue whose
reply was lost is sent again: the id was made here, so the second one finds the first one's task.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from ferryman.batches import args_bytes, batches
from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.enqueue_log import tell_enqueued
from ferryman.errors import BrokerError, BrokerUnavailable, InvalidTask, NotReplicated
from ferryman.link import Link, SyncLink
from ferryman.middleware import Around, Outgoing
from ferryman.pools import link_for, replica_wait, sync_link_for
from ferryman.replication import ReplicaWait
from ferryman.sending import WorkItem, sending
from ferryman.task import Enqueued

logger = logging.getLogger(__name__)

#: Waits before a lost enqueue is sent again (seconds), and how long after the first one no more are sent.
RESEND_PAUSES_S: Final = (0.05, 0.25)
RESEND_WITHIN_S: Final = 3.0

#: How often a process repeats that its queue exists (seconds), in case someone flushed that.
ANNOUNCE_EVERY_S: Final = 600.0

T = TypeVar("T")

#: What to do next: run a call and hand its reply back, or wait so many seconds.
Step = Call[Any] | float
Steps = Generator[Step, Any, T]


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
        return self.enqueue_many_sync((item,))[0]

    async def enqueue_many(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """Enqueue tasks batch by batch, in order, and return their replies in the same order.

        `items` is consumed as it goes, so it may be a generator of millions. When a batch fails, the batches
        before it stay enqueued; the error has a note that says how many tasks that is. Raises as enqueue does.
        """
        return await self._send(link_for(self._redis_url), items, self._around)

    def enqueue_many_sync(self, items: Iterable[WorkItem]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        link = sync_link_for(self._redis_url)
        return drive_sync(link, self._enqueue(link, items, self._around))

    async def _enqueue_one(self, item: WorkItem) -> Enqueued:
        link = link_for(self._redis_url)
        if self._busy.get(link):
            return await self._gather(link, item)
        return (await self._send(link, (item,)))[0]

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
            replies = await self._send(link, [item for item, _ in gathered])
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

    async def _send(
        self, link: Link, items: Iterable[WorkItem], around: Sequence[Around[Sequence[Outgoing]]] = ()
    ) -> list[Enqueued]:
        self._busy[link] = self._busy.get(link, 0) + 1
        try:
            return await drive(link, self._enqueue(link, items, around))
        finally:
            self._busy[link] -= 1

    def _enqueue(
        self, link: Link | SyncLink, items: Iterable[WorkItem], around: Sequence[Around[Sequence[Outgoing]]]
    ) -> Steps[list[Enqueued]]:
        replies: list[Enqueued] = []
        try:
            for batch in batches(_of_queue(self.queue, items), lambda item: args_bytes(item.task)):
                if around:
                    with sending(around, batch) as wrapped:
                        replies += yield from self._enqueue_batch(link, wrapped)
                else:
                    replies += yield from self._enqueue_batch(link, batch)
        except Exception as error:
            if replies:
                error.add_note(f"{len(replies)} tasks were enqueued before this")
            raise
        return replies

    def _enqueue_batch(self, link: Link | SyncLink, batch: Sequence[WorkItem]) -> Steps[list[Enqueued]]:
        if self._wait is None:
            self._wait = replica_wait()
        enqueue = self._wait.after(self._broker.enqueue([item.task for item in batch]))
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


async def drive(link: Link, steps: Steps[T]) -> T:
    """Run the steps over an async link and return their result."""
    try:
        step = next(steps)
        while True:
            try:
                reply = await (link.run(step) if isinstance(step, Call) else asyncio.sleep(step))
            except BrokerError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def drive_sync(link: SyncLink, steps: Steps[T]) -> T:
    """Run the steps over a sync link and return their result."""
    try:
        step = next(steps)
        while True:
            try:
                reply = link.run(step) if isinstance(step, Call) else _pause(step)
            except BrokerError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def _pause(seconds: float) -> Any:
    time.sleep(seconds)


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


def _of_queue(queue: str, items: Iterable[WorkItem]) -> Iterator[WorkItem]:
    for item in items:
        if item.queue != queue:
            raise InvalidTask("queue", f"task {item.task.name!r} belongs to queue {item.queue!r}, not to {queue!r}")
        yield item
