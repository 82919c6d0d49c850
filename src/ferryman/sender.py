"""Sender: makes and enqueues the tasks of one handler, with one set of options."""

from __future__ import annotations

from typing import Generic, ParamSpec

from ferryman.arguments import Arguments
from ferryman.options import EnqueueOptions
from ferryman.producer import Producer
from ferryman.sending import WorkItem
from ferryman.signature import Signature
from ferryman.task import Enqueued

P = ParamSpec("P")


class Sender(Generic[P]):
    """What `send` and `send.options(...)` have in common: `P` is what a producer gives, without the Context.

    Every method raises InvalidTask naming the parameter when the arguments don't fit the annotations,
    PayloadTooLarge when they are over 1 MiB of JSON, and InvalidHandler when an annotation can't be resolved.
    """

    def __init__(
        self, name: str, producer: Producer, signature: Signature, arguments: Arguments, options: EnqueueOptions
    ) -> None:
        self.name = name
        self._producer = producer
        self._signature = signature
        self._arguments = arguments
        self._options = options

    def task(self, *args: P.args, **kwargs: P.kwargs) -> WorkItem:
        """A task for `Queue.enqueue_many`. Its id is fixed here, so sending it twice creates one task."""
        encoded = self._arguments.encode(self._signature.bind(args, kwargs))
        return WorkItem(self._producer.queue, self._options.new_task(self.name, encoded), not self._options.id)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Enqueued:
        """Enqueue one task. Also raises BrokerUnavailable, NotReplicated, QueueFull, BrokerRefused and
        ProtocolMismatch.
        """
        return await self._producer.enqueue(self.task(*args, **kwargs))

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> Enqueued:
        """The same, blocking; for Django, scripts and any thread. In a coroutine use `enqueue`."""
        return self._producer.enqueue_sync(self.task(*args, **kwargs))
