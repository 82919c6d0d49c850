"""Sender: makes and enqueues the tasks of one handler, with one set of options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec

from ferryman.arguments import Arguments
from ferryman.errors import InvalidTask
from ferryman.new_task import Enqueued
from ferryman.options import EnqueueOptions
from ferryman.producer import Producer
from ferryman.references import NO_REFERENCES, references_in
from ferryman.results import Results
from ferryman.sending import WorkItem
from ferryman.signature import Signature
from ferryman.task import check_task_id
from ferryman.task_ref import TaskRef
from ferryman.terms import Terms

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class Sender(Generic[P, R_co]):
    """What `send` and `send.options(...)` have in common: `P` is what a producer gives, without the Context.

    Every method raises InvalidTask naming the parameter when the arguments don't fit the annotations,
    PayloadTooLarge when they are over 1 MiB of JSON, and InvalidHandler when an annotation can't be resolved.
    """

    def __init__(
        self,
        name: str,
        producer: Producer,
        signature: Signature,
        arguments: Arguments,
        options: EnqueueOptions,
        lane: Callable[[dict[str, Any]], str] | None = None,
    ) -> None:
        self.name = name
        self._producer = producer
        self._signature = signature
        self._arguments = arguments
        self._options = options
        self.results = Results(signature)
        self._lane = lane

    def task(self, *args: P.args, **kwargs: P.kwargs) -> WorkItem:
        """A task for `Queue.enqueue_many`. Its id is fixed here, so sending it twice creates one task."""
        bound = self._signature.bind(args, kwargs)
        binds = NO_REFERENCES
        try:
            encoded = self._arguments.encode(bound)
        except InvalidTask:
            # Only an argument that is no JSON can be the result of a task to come: others don't pay for the look.
            if not (binds := references_in(self.name, bound)):
                raise
            encoded = self._arguments.encode_without(bound, binds)
        terms = None if self._lane is None else self.terms_of(bound, self._options)
        task = self._options.new_task(self.name, encoded, "", terms)
        return WorkItem(self._producer.queue, task, not self._options.id, self._producer, binds)

    def terms_of(self, arguments: Mapping[str, object], options: EnqueueOptions) -> Terms | None:
        """The terms of a task with these arguments; None = as the options say."""
        if self._lane is None or options.terms.lane:
            return None
        return msgspec.structs.replace(options.terms, lane=self._lane(dict(arguments)))

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef[R_co]:
        """Enqueue one task. Also raises BrokerUnavailable, NotReplicated, QueueFull, BrokerRefused and
        ProtocolMismatch.
        """
        accepted = await self._producer.enqueue(self.task(*args, **kwargs))
        return self._accepted(accepted)

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> TaskRef[R_co]:
        """The same, blocking; for Django, scripts and any thread. In a coroutine use `enqueue`."""
        accepted = self._producer.enqueue_sync(self.task(*args, **kwargs))
        return self._accepted(accepted)

    def ref(self, task_id: str) -> TaskRef[R_co]:
        """A task of this handler that was enqueued before, perhaps elsewhere. Raises InvalidTask for what is no id."""
        return TaskRef(check_task_id(task_id), False, self._producer, self.results, None)

    def _accepted(self, accepted: Enqueued) -> TaskRef[R_co]:
        # Of one that existed before, its own enqueue may have decided otherwise.
        keeps = self._options.terms.keep if accepted.created else None
        return TaskRef(accepted.id, accepted.created, self._producer, self.results, keeps)
