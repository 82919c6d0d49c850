"""TaskRef: a task that was enqueued, by its queue and id: its result, its cancellation, its record."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ferryman.attendance import ENDED, ending_sync
from ferryman.durations import Duration, parse_duration
from ferryman.ends import Ending
from ferryman.errors import (
    ResultError,
    ResultNotKept,
    ResultTimeout,
    TaskCancelled,
    TaskDiscarded,
    TaskExpired,
    TaskFailed,
    WorkflowFailed,
)
from ferryman.new_task import Enqueued
from ferryman.plan import run_plan, run_plan_async
from ferryman.producer import Producer
from ferryman.results import Results

if TYPE_CHECKING:
    from ferryman.call import Call
    from ferryman.cancelling import Cancellation
    from ferryman.plan import Plan
    from ferryman.task import Task

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class TaskRef(Enqueued, Generic[R_co], frozen=True, eq=False, gc=False):
    """What `send.enqueue(...)` returns, and `send.ref(id)` makes again anywhere. `R_co` is what the handler returns.

    `created` is False when a task with this id or unique key already existed: it is then that one.
    """

    _producer: Producer
    _results: Results
    #: Whether its result is kept; None where only its handler, elsewhere, can tell.
    _keeps: bool | None = None

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._producer.queue

    @overload
    async def result(self: TaskRef[Coroutine[Any, Any, T]], timeout: Duration | None = None) -> T: ...  # noqa: ASYNC109
    @overload
    async def result(self: TaskRef[T], timeout: Duration | None = None) -> T: ...  # noqa: ASYNC109
    async def result(self, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109  (a deadline for the answer)
        """Wait until the task has ended, and return what its handler returned. Also waits while Redis is away.

        Raises TaskFailed when it is dead, TaskCancelled, TaskExpired or TaskDiscarded when it was taken out,
        ResultTimeout after `timeout`, and ResultNotKept when there is nothing to wait for: without `keep_result=`
        at its handler or its enqueue no result is kept.
        """
        return await self.result_unless_dead((), timeout)

    @overload
    def result_sync(self: TaskRef[Coroutine[Any, Any, T]], timeout: Duration | None = None) -> T: ...
    @overload
    def result_sync(self: TaskRef[T], timeout: Duration | None = None) -> T: ...
    def result_sync(self, timeout: Duration | None = None) -> Any:
        """The same, blocking; for any thread. In a coroutine use `result`."""
        return self.result_unless_dead_sync((), timeout)

    async def result_unless_dead(self, before: Sequence[str], timeout: Duration | None) -> Any:  # noqa: ASYNC109
        """The same for a workflow's node; raises WorkflowFailed as soon as a task `before` it is dead."""
        self._check_keeps()
        timeout_s = None if timeout is None else parse_duration(timeout)
        link, attendance = self._producer.attendance()
        try:
            async with asyncio.timeout(timeout_s):
                task_id, ending = await attendance.ending(link, self.id, before)
        except TimeoutError:
            raise ResultTimeout(self.queue, self.id, timeout_s or 0.0, "") from None
        return self._read(task_id, ending)

    def result_unless_dead_sync(self, before: Sequence[str], timeout: Duration | None) -> Any:
        """The same, blocking."""
        self._check_keeps()
        timeout_s = None if timeout is None else parse_duration(timeout)
        task_id, ending = ending_sync(self._producer.sync_link(), self.queue, self.id, timeout_s, before)
        if ending.state not in ENDED:
            raise ResultTimeout(self.queue, self.id, timeout_s or 0.0, ending.state)
        return self._read(task_id, ending)

    async def cancel(self) -> Cancellation:
        """See that it comes to no end: what has not started is discarded, what runs is asked to stop.

        What runs in a thread can't be stopped; the answer says so. Raises BrokerUnavailable or BrokerRefused.
        """
        return await run_plan_async(self._producer.link(), self._cancelling())

    def cancel_sync(self) -> Cancellation:
        """The same, blocking; for any thread."""
        return run_plan(self._producer.sync_link(), self._cancelling())

    async def look(self) -> Task | None:
        """All that is known of it now, its progress too; None when nothing is (any more)."""
        return await self._producer.link().run(self._looking())

    def look_sync(self) -> Task | None:
        """The same, blocking; for any thread."""
        return self._producer.sync_link().run(self._looking())

    # What looks into a queue is imported when somebody asks: a worker, and who only enqueues, starts without it.

    def _cancelling(self) -> Plan[Cancellation]:
        from ferryman.cancelling import cancel

        return cancel(self.queue, self.id)

    def _looking(self) -> Call[Task | None]:
        from ferryman.inspector import Inspector

        return Inspector(self.queue).get(self.id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Enqueued):
            return NotImplemented
        same_queue = not isinstance(other, TaskRef) or other.queue == self.queue
        return same_queue and (self.id, self.created) == (other.id, other.created)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<TaskRef {self.queue}/{self.id}>"

    def _check_keeps(self) -> None:
        if self._keeps is False:
            why = "keeps no result: give its handler or its enqueue keep_result='1h'"
            raise ResultNotKept(self.queue, self.id, why)

    def _read(self, task_id: str, ending: Ending) -> Any:
        text = ending.left.decode("utf-8", "replace")
        if task_id != self.id:
            raise WorkflowFailed(self.queue, task_id, text, waiting=self.id)
        match ending.state, text[:1]:
            case "completed", "=":
                try:
                    return self._results.decode(ending.left[1:])
                except ValueError as error:
                    raise ResultNotKept(self.queue, self.id, f"has a result that does not fit: {error}") from error
            case "completed", "!":
                raise ResultNotKept(self.queue, self.id, f"has completed, but {text[1:]}")
            case "completed", _:
                raise ResultNotKept(self.queue, self.id, "has completed, and no result of it is kept")
            case "dead", _:
                raise TaskFailed(self.queue, self.id, text)
            case "missing", _:
                raise ResultNotKept(self.queue, self.id, "is not known here: never enqueued, or all of it has expired")
            case "discarded", _:
                raise _DISCARDED.get(text, TaskDiscarded)(self.queue, self.id)
        raise ResultError(self.queue, self.id, "is waited for by too many already")


_DISCARDED: dict[str, Any] = {"cancelled": TaskCancelled, "expired": TaskExpired}
