"""Queue: a named line of tasks, the handlers that run them, and the ways to enqueue.

Importing a module that defines one reads no environment and opens no socket; both happen at the first enqueue.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar, Unpack, overload
from weakref import WeakValueDictionary

from ferryman.arguments import by_name, encode_unchecked
from ferryman.backoff import Backoff
from ferryman.context import Context
from ferryman.decorator import TakesAnything, TaskDecorator
from ferryman.durations import Duration
from ferryman.errors import DuplicateHandler
from ferryman.handler import AnyHandler, Handler, RunIn
from ferryman.lanes import LaneSpec
from ferryman.limits import NO_LIMITS, Limits
from ferryman.manifest import Manifest
from ferryman.middleware import Middleware, overridden
from ferryman.new_task import Enqueued
from ferryman.options import EnqueueKwargs, EnqueueOptions, expires_in_ms, task_options
from ferryman.producer import Producer
from ferryman.replication import DEFAULT_TIMEOUT, ReplicaWait
from ferryman.results import Results
from ferryman.schedule import Cron, Schedule
from ferryman.sending import WorkItem
from ferryman.task import check_task_id, check_task_name
from ferryman.task_ref import TaskRef

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
C = TypeVar("C", bound=Context[Any])

#: Called once per worker process, never in producers; what it yields is every Context's `deps`.
Lifespan = Callable[[], AbstractAsyncContextManager[Any]]


class Queue:
    """A queue by its name, which is also its TaskQueue's and at most 63 characters of a-z, 0-9, '-' and '.'.

    `redis_url` is for producers; without it they read FERRYMAN_REDIS_URL, then the file that
    FERRYMAN_REDIS_URL_FILE names, then try the Redis on this machine.

    `wait_replicas`: an enqueue returns when so many replicas have confirmed it, or raises NotReplicated after
    `wait_replicas_timeout`; without them FERRYMAN_WAIT_REPLICAS and FERRYMAN_WAIT_REPLICAS_TIMEOUT say so, and
    without those nobody waits.

    `limits` of all its tasks and of each of its lanes: written to Redis by its workers, before those of the TaskQueue.

    `middlewares` go around every run and every enqueue, the first outermost. Raises InvalidTask for a bad name or
    number, TypeError for what is no lifespan, no middleware or no Limits.
    """

    def __init__(
        self,
        name: str,
        *,
        lifespan: Lifespan | None = None,
        redis_url: str | None = None,
        wait_replicas: int | None = None,
        wait_replicas_timeout: Duration = DEFAULT_TIMEOUT,
        middlewares: Sequence[Middleware] = (),
        limits: Limits = NO_LIMITS,
    ) -> None:
        if lifespan is not None and (not callable(lifespan) or inspect.isasyncgenfunction(lifespan)):
            raise TypeError(f"queue {name!r}: lifespan={lifespan!r} needs @asynccontextmanager above it")
        wait = None if wait_replicas is None else ReplicaWait.of(wait_replicas, wait_replicas_timeout)
        if wrong := [one for one in middlewares if not isinstance(one, Middleware)]:
            raise TypeError(f"queue {name!r}: {wrong[0]!r} is no ferryman.Middleware object")
        if not isinstance(limits, Limits):
            raise TypeError(
                f"queue {name!r}: limits={limits!r} is no ferryman.Limits; write Limits(lane_concurrency=2)"
            )
        self.middlewares = tuple(middlewares)
        self.producer = Producer(name, redis_url, wait, overridden(self.middlewares, "around_enqueue"))
        self.name = name
        self.lifespan = lifespan
        self.limits = limits
        self.handlers: dict[str, AnyHandler] = {}
        _defined[id(self)] = self

    @overload
    def task(self, function: TakesAnything[Q, R], /) -> Handler[Q, Q, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[C, P], R], /) -> Handler[P, Concatenate[C, P], R]: ...
    @overload
    def task(self, function: Callable[Q, R], /) -> Handler[Q, Q, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        max_attempts: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        keep_result: Duration | None = None,
        expires: Duration | None = None,
        dead_letter_on: tuple[type[BaseException], ...] = (),
        run_in: RunIn | None = None,
        cron: Cron | str | None = None,
        tz: str | None = None,
        lane: LaneSpec | None = None,
    ) -> TaskDecorator: ...
    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        name: str | None = None,
        max_attempts: int | None = None,
        timeout: Duration | None = None,
        backoff: Backoff | None = None,
        keep_result: Duration | None = None,
        expires: Duration | None = None,
        dead_letter_on: tuple[type[BaseException], ...] = (),
        run_in: RunIn | None = None,
        cron: Cron | str | None = None,
        tz: str | None = None,
        lane: LaneSpec | None = None,
    ) -> Any:
        """Register a function as the handler of a task: `@emails.task` or `@emails.task(max_attempts=5)`.

        `name`: the task's; the function's unless given. What is None is left to the TaskQueue, then built in
        (5 attempts, no timeout, exponential backoff). `dead_letter_on`: exceptions that no further attempt
        would cure. `run_in`: "loop" for async functions, "thread" for plain ones, or "process".

        `cron`: enqueued by the scheduler, without arguments, at the times of this line in the time zone `tz` (UTC
        unless given); more can be said with a Cron.

        `keep_result`: for so long the result can be had, by `await task.result()`. `expires`: so long after its enqueue
        a task that still waits is discarded.

        `lane`: whose turn a task takes, from its arguments: a template such as "{tenant}", or a function of them.

        Raises DuplicateHandler, InvalidHandler, or InvalidTask naming the option.
        """

        def register(function: Callable[..., Any]) -> AnyHandler:
            handler: AnyHandler = Handler(
                self,
                function,
                name=name if name is not None else str(getattr(function, "__name__", function)),
                run_in=run_in,
                defaults=task_options(max_attempts, timeout, backoff, keep_result),
                expires_ms=0 if expires is None else expires_in_ms(expires),
                dead_letter_on=dead_letter_on,
                cron=cron,
                tz=tz,
                lane=lane,
            )
            self._add(handler)
            return handler

        return register if function is None else register(function)

    async def enqueue(
        self, task: str, args: Mapping[str, object] | None = None, **options: Unpack[EnqueueKwargs]
    ) -> TaskRef[Any]:
        """Enqueue a task by its name: its handler may live in another repository.

        A handler of this queue that is known here checks the arguments; otherwise the worker does. Raises
        InvalidTask, PayloadTooLarge, BrokerUnavailable, NotReplicated, QueueFull, BrokerRefused or ProtocolMismatch.
        """
        return self._ref(task, await self.producer.enqueue(self.named(task, args, **options)))

    def enqueue_sync(
        self, task: str, args: Mapping[str, object] | None = None, **options: Unpack[EnqueueKwargs]
    ) -> TaskRef[Any]:
        """The same, blocking; for any thread."""
        return self._ref(task, self.producer.enqueue_sync(self.named(task, args, **options)))

    def ref(self, task_id: str) -> TaskRef[Any]:
        """A task by its id, to wait for its result or to cancel it. Raises InvalidTask for what is no id."""
        return TaskRef(check_task_id(task_id), False, self.producer, Results(None))

    async def enqueue_many(self, tasks: Iterable[WorkItem]) -> list[Enqueued]:
        """Enqueue what `send.task(...)`, `send.options(...).task(...)` and `named(...)` made, in batches.

        `tasks` may be a generator; it is consumed as the batches go. If one fails, earlier batches stay
        enqueued, and the error has a note with their number. Raises as enqueue does.
        """
        return await self.producer.enqueue_many(tasks)

    def enqueue_many_sync(self, tasks: Iterable[WorkItem]) -> list[Enqueued]:
        """The same, blocking; for any thread."""
        return self.producer.enqueue_many_sync(tasks)

    def named(self, task: str, args: Mapping[str, object] | None = None, **options: Unpack[EnqueueKwargs]) -> WorkItem:
        """A task by its name for enqueue_many. Raises InvalidTask or PayloadTooLarge."""
        handler = self.handlers.get(check_task_name(task))
        arguments = by_name(task, args)
        if handler is None:
            encoded, checked, terms = encode_unchecked(task, arguments), EnqueueOptions.of(**options), None
        else:
            encoded, checked = handler.encode_args(arguments), handler.checked_options(**options)
            terms = handler.terms_of(arguments, checked)
        return WorkItem(self.name, checked.new_task(task, encoded, terms=terms), not checked.id, self.producer)

    def manifest(self, app: str) -> Manifest:
        """What a worker that runs module `app` publishes when it registers.

        Raises InvalidHandler when the types of a handler's parameters can't be resolved or can't be JSON.
        """
        tasks = {name: handler.manifest(app) for name, handler in self.handlers.items()}
        return Manifest(app, tasks, schedules=tuple(self.schedules()), limits=self.limits)

    def schedules(self) -> list[Schedule]:
        """Those that the handlers say with `cron=`."""
        return [handler.schedule for handler in self.handlers.values() if handler.schedule]

    def _ref(self, task: str, accepted: Enqueued) -> TaskRef[Any]:
        handler = self.handlers.get(task)
        results = Results(None) if handler is None else handler.results
        return TaskRef(accepted.id, accepted.created, self.producer, results)

    def __repr__(self) -> str:
        return f"<Queue {self.name}: {len(self.handlers)} handlers>"

    def _add(self, handler: AnyHandler) -> None:
        first = self.handlers.get(handler.name)
        if first is not None and not _is_redefined_by_hand(first, handler):
            raise DuplicateHandler(self.name, handler.name, first.place, handler.place)
        self.handlers[handler.name] = handler


def queues_defined(name: str | None = None) -> list[Queue]:
    """The queues with that name, or all, that this process has defined and still keeps, the oldest first.

    Two are common: one where the handlers are, one in a module that enqueues by name.
    """
    return [queue for queue in _defined.values() if name in (None, queue.name)]


_defined: Final[WeakValueDictionary[int, Queue]] = WeakValueDictionary()


def _is_redefined_by_hand(first: AnyHandler, second: AnyHandler) -> bool:
    """In a notebook or at a prompt a cell may be run again, and the new function is meant to replace the old."""
    if hasattr(sys.modules.get("__main__"), "__file__"):
        return False
    return all(h.function.__module__ == "__main__" for h in (first, second)) and (
        first.function.__qualname__ == second.function.__qualname__
    )
