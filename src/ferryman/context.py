"""Context: what a handler may know of its run, given as its first parameter when it asks for one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final, Generic, TypeVar, overload

from ferryman.headers import NO_HEADERS, trace_id

D_co = TypeVar("D_co", covariant=True)
D = TypeVar("D")

_log = logging.getLogger("ferryman.task")

#: Is told task id, token, done, total and note of a run; from any thread.
Tell = Callable[[str, int, float, float | None, str], None]


class Context(Generic[D_co]):
    """One run of one task.

    `deps` is what the queue's lifespan yielded in this worker (None without a lifespan). `task_id` is the
    same on every attempt, which makes it the idempotency key for the services that the handler calls.
    `attempt` counts from 1. `deliveries` does, too, and also counts the runs that spent no attempt: those that a
    crash or the end of a worker cut short. `enqueued_ms` is epoch milliseconds. `headers` travelled with the task.
    """

    # A plain class, not a frozen dataclass: the worker makes one per task, and this is three times cheaper.
    __slots__ = (
        *("_deps", "_tell", "attempt", "deliveries", "enqueued_ms", "headers"),
        *("max_attempts", "queue", "task", "task_id"),
    )

    def __init__(
        self,
        deps: D_co,
        *,
        task_id: str,
        queue: str,
        task: str,
        attempt: int,
        max_attempts: int,
        enqueued_ms: int,
        deliveries: int,
        headers: Mapping[str, str] = NO_HEADERS,
        tell: Tell | None = None,
    ) -> None:
        self._deps = deps
        self._tell = tell
        self.task_id = task_id
        self.queue = queue
        self.task = task
        self.attempt = attempt
        self.max_attempts = max_attempts
        self.enqueued_ms = enqueued_ms
        self.deliveries = deliveries
        self.headers = headers

    @property
    def deps(self) -> D_co:
        """What the lifespan yielded."""
        return self._deps

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far this run has come: `done` of `total`, if that is known, and a few words.

        Cheap enough for every turn of a loop, in coroutines, threads and processes: the latest is kept in memory, and
        goes to Redis about once a second, and when the run ends. `ferryman show`, `ferryman top` and the API show it.
        Of `note` 200 characters are kept. Raises TypeError for what is no number.
        """
        if not isinstance(done, (int, float)) or not isinstance(total, (int, float, NoneType)):
            raise TypeError(f"progress({done!r}, {total!r}): both are numbers, and total may be None")
        if self._tell is not None:
            self._tell(self.task_id, self.deliveries, done, total, note)

    @property
    def enqueued_at(self) -> datetime:
        """When the task was enqueued, by Redis' clock, in UTC."""
        return datetime.fromtimestamp(self.enqueued_ms / 1000, UTC)

    @property
    def is_last_attempt(self) -> bool:
        """True when a failure of this run is the task's end."""
        return self.attempt >= self.max_attempts

    @property
    def trace_id(self) -> str | None:
        """The trace that the task was enqueued in, by its header `traceparent`: 32 hexadecimal digits."""
        return trace_id(self.headers) if self.headers else None

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger (`ferryman.task`) whose records carry task_id, queue, task and attempt."""
        fields = {"task_id": self.task_id, "queue": self.queue, "task": self.task, "attempt": self.attempt}
        return _TaskLog(_log, fields)

    def __repr__(self) -> str:
        return f"<Context {self.queue}/{self.task} {self.task_id} attempt {self.attempt}/{self.max_attempts}>"


#: The run that the present code belongs to: logging, tracing and enqueueing from deep inside a handler read it.
current_run: Final[ContextVar[Context[Any]]] = ContextVar("ferryman_run")


class _TaskLog(logging.LoggerAdapter[logging.Logger]):
    """Adds the task's fields, and keeps those that the caller gave with `extra=`."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


@overload
def context(
    *,
    task_id: str = ...,
    queue: str = ...,
    task: str = ...,
    attempt: int = ...,
    max_attempts: int = ...,
    enqueued_at: datetime | None = ...,
    deliveries: int = ...,
    headers: Mapping[str, str] = ...,
) -> Context[None]: ...
@overload
def context(
    deps: D,
    *,
    task_id: str = ...,
    queue: str = ...,
    task: str = ...,
    attempt: int = ...,
    max_attempts: int = ...,
    enqueued_at: datetime | None = ...,
    deliveries: int = ...,
    headers: Mapping[str, str] = ...,
) -> Context[D]: ...
def context(
    deps: object = None,
    *,
    task_id: str = "test",
    queue: str = "test",
    task: str = "test",
    attempt: int = 1,
    max_attempts: int = 5,
    enqueued_at: datetime | None = None,
    deliveries: int = 1,
    headers: Mapping[str, str] = NO_HEADERS,
) -> Context[Any]:
    """A Context for a plain call of a handler in a unit test: `await send(context(Deps(FakePool())), "a@b")`.

    `enqueued_at` is now unless given.
    """
    at = enqueued_at or datetime.now(UTC)
    return Context(
        deps,
        task_id=task_id,
        queue=queue,
        task=task,
        attempt=attempt,
        max_attempts=max_attempts,
        enqueued_ms=int(at.timestamp() * 1000),
        deliveries=deliveries,
        headers=headers,
    )
