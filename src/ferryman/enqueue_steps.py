"""Enqueue steps: what is sent to enqueue tasks, and when: said once, for either kind of link.

An enqueue whose reply was lost is sent again: the id was made here, so the second one finds the first one's task.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, TypeVar

from ferryman.batches import BATCH_TASKS, batches
from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.enqueue_log import tell_enqueued
from ferryman.errors import BrokerUnavailable, InvalidTask
from ferryman.middleware import Around, Outgoing
from ferryman.new_task import Enqueued, NewTask
from ferryman.pools import replica_wait
from ferryman.replication import ReplicaWait
from ferryman.sending import WorkItem, sending
from ferryman.steps import Ahead, Overlapped, Step, Steps
from ferryman.traffic import Traffic

#: By the name that people have set a level for.
logger = logging.getLogger("ferryman.producer")

T = TypeVar("T")

#: Waits before a lost enqueue is sent again (seconds), and how long after the first one no more are sent.
RESEND_PAUSES_S: Final = (0.05, 0.25)
RESEND_WITHIN_S: Final = 3.0


class EnqueueSteps:
    """Of one queue. `wait` is for how many replicas an enqueue waits; None leaves that to the environment."""

    def __init__(self, queue: str, wait: ReplicaWait | None) -> None:
        self._queue = queue
        self._wait = wait
        self._broker = Broker(queue)

    def call(self, tasks: Sequence[NewTask]) -> Call[list[Enqueued]]:
        """One enqueue, and the wait for replicas. Raises InvalidTask, or BadSetting at the first one."""
        if self._wait is None:
            self._wait = replica_wait()
        return self._wait.after(self._broker.enqueue(tasks))

    def many(
        self, traffic: Traffic, items: Iterable[WorkItem], around: Sequence[Around[Sequence[Outgoing]]]
    ) -> Steps[list[Enqueued]]:
        """Tasks, batch by batch; `around` is what middlewares put around each batch."""
        replies: list[Enqueued] = []
        try:
            parts = Ahead(batches(items, self._weighed))
            for batch in parts:
                if around:
                    with sending(around, batch) as wrapped:
                        replies += yield from self.batch(traffic, wrapped)
                else:
                    # One that is not full is nearly always the last.
                    ahead = parts if len(batch) == BATCH_TASKS else None
                    replies += yield from self.batch(traffic, batch, ahead)
        except Exception as error:
            if replies:
                error.add_note(f"{len(replies)} tasks were enqueued before this")
            raise
        return replies

    def workflow(
        self,
        traffic: Traffic,
        flow: str,
        parts: Sequence[Sequence[WorkItem]],
        around: Sequence[Around[Sequence[Outgoing]]],
    ) -> Steps[list[Enqueued]]:
        """The nodes of a workflow; when there are several parts, its first nodes are released last."""
        replies: list[Enqueued] = []
        with sending(around, [item for part in parts for item in part]) as wrapped:
            items = iter(wrapped)
            for part in parts:
                replies += yield from self.batch(traffic, list(islice(items, len(part))))
        if len(parts) > 1:
            answer = yield from _resent(self._broker.start_flow(flow))
            if answer != "started":
                raise InvalidTask(
                    "workflow", f"{flow} was given up half sent ({answer}); send it again under another id"
                )
        return replies

    def batch(
        self, traffic: Traffic, batch: Sequence[WorkItem], parts: Ahead[list[WorkItem]] | None = None
    ) -> Steps[list[Enqueued]]:
        """Tasks that go in one call; `parts` makes the next batch while Redis works on this one."""
        call, started_s = self.call([item.task for item in batch]), time.monotonic()
        try:
            replies = yield from self._attempt(traffic, call if parts is None else Overlapped(call, parts.look))
        except BrokerUnavailable as error:
            lost = error
        else:
            self.tell(batch, replies)
            return replies
        return (yield from self.again(traffic, batch, call, started_s, lost))

    def again(
        self,
        traffic: Traffic,
        batch: Sequence[WorkItem],
        call: Call[list[Enqueued]],
        started_s: float,
        lost: BrokerUnavailable,
    ) -> Steps[list[Enqueued]]:
        """After pauses, once more what was lost at first; when no pause is left, raises what it met last."""
        for pause_s in RESEND_PAUSES_S:
            if time.monotonic() - started_s > RESEND_WITHIN_S:
                break
            yield pause_s
            try:
                replies = yield from self._attempt(traffic, call)
            except BrokerUnavailable as error:
                lost = error
            else:
                replies = [_owned(item, reply) for item, reply in zip(batch, replies, strict=True)]
                self.tell(batch, replies)
                return replies
        raise lost

    def tell(self, batch: Sequence[WorkItem], replies: Sequence[Enqueued]) -> None:
        """Log them, when somebody wants to know."""
        if logger.isEnabledFor(logging.DEBUG):
            for item, reply in zip(batch, replies, strict=True):
                tell_enqueued(logger, self._queue, item.task, reply)

    def check(self, item: WorkItem) -> None:
        """Raise InvalidTask when it can't be enqueued here."""
        if item.binds:
            raise InvalidTask(
                next(iter(item.binds)), f"task {item.task.name!r} takes another's result, as only a workflow's node can"
            )
        if item.queue != self._queue:
            raise InvalidTask(
                "queue", f"task {item.task.name!r} belongs to queue {item.queue!r}, not to {self._queue!r}"
            )

    def _attempt(self, traffic: Traffic, enqueue: Step) -> Steps[list[Enqueued]]:
        if time.monotonic() > traffic.announce_at_s:
            yield self._broker.announce()
            traffic.announced()
        replies: list[Enqueued] = yield enqueue
        return replies

    def _weighed(self, item: WorkItem) -> int:
        """What it weighs in a request. Raises as `check`."""
        if item.binds or item.queue != self._queue:
            self.check(item)
        return len(item.task.args)


def _resent(call: Call[T]) -> Steps[T]:
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


def _owned(item: WorkItem, reply: Enqueued) -> Enqueued:
    """A task found under an id made here is the one that the lost reply was about: it was created."""
    if item.own_id and not reply.created and reply.id == item.task.id:
        return Enqueued(reply.id, True)
    return reply
