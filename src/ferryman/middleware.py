"""Middleware: code around every run of a queue's tasks, and around every enqueue.

`Queue("emails", middlewares=[Tracing(), Timing()])`: the first is the outermost, around runs as around enqueues.
A hook that a middleware does not override costs nothing, and without middlewares there is no hook at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import msgspec

from ferryman.context import Context

S = TypeVar("S")

#: A hook that goes around something, as `entered` takes them.
Around = Callable[[S], "AbstractContextManager[object] | None"]


class Outgoing(msgspec.Struct):
    """A task that is about to be enqueued. What a middleware puts into `headers` travels with it."""

    queue: str
    task: str
    task_id: str
    headers: dict[str, str]


class DeadTask(msgspec.Struct, frozen=True):
    """A task that this worker has sent to dead. `error` is what is kept with it: a sentence, then a traceback."""

    queue: str
    task: str
    task_id: str
    attempt: int
    error: str
    args: bytes  # a JSON object
    headers: dict[str, str]


class Middleware:
    """Base class: override what you need; most often with `@contextmanager` above it and one `yield` in it."""

    def around_run(self, ctx: Context[Any]) -> AbstractContextManager[object] | None:
        """Around one run of a handler, where the handler runs: in the loop, in its thread or in its pool process.

        What the handler raises comes out of the `yield`. Let it pass: an exception that is swallowed here makes the
        run a success, and one that is raised here is the run's failure. None: nothing is to be done for this run.
        A coroutine that is stopped from outside raises asyncio.CancelledError, and one that ran out of its time
        TimedOut; a pool process that is killed raises nothing, for nobody is left in it.
        """
        return None

    def around_enqueue(self, tasks: Sequence[Outgoing]) -> AbstractContextManager[object] | None:
        """Around one enqueue, where it is called: one task, or a batch of `enqueue_many`.

        An exception that is raised before the `yield` keeps the tasks from being sent.
        """
        return None

    def on_dead(self, dead: DeadTask) -> Awaitable[None] | None:
        """After a task went to dead because its last run failed here; may be a coroutine function.

        Called once, by the worker, when Redis has confirmed it; never twice, and not at all when this worker dies in
        that moment, or when the scheduler decides, which runs no code of yours: that a task's workers died too often.
        A plain function runs in a thread. One at a time; what it raises is logged.
        """
        return None


def overridden(middlewares: Iterable[Middleware], hook: str) -> tuple[Callable[..., Any], ...]:
    """The methods of that name, of those middlewares that have their own."""
    base = getattr(Middleware, hook)
    return tuple(getattr(one, hook) for one in middlewares if getattr(type(one), hook) is not base)


def entered(hooks: Sequence[Around[S]], subject: S) -> ExitStack:
    """Enters what the hooks return for `subject`, in their order; use it in a `with` statement.

    Raises what one of them raises; those before it are left again.
    """
    with ExitStack() as stack:
        for hook in hooks:
            if (manager := hook(subject)) is not None:
                stack.enter_context(manager)
        return stack.pop_all()
