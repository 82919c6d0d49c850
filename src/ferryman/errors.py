"""Every error that Ferryman raises, under one root.

An error carries what it is about as attributes, and its message says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferryman.new_task import Enqueued


class FerrymanError(Exception):
    """Base of every error raised by ferryman."""


class BrokerError(FerrymanError):
    """Base of what can go wrong between a process and Redis."""


class BrokerUnavailable(BrokerError):
    """Redis did not answer: refused, timed out, or the connection broke.

    Whether the call was applied is unknown. Sending it again is safe: an enqueue is idempotent by task id and
    every exit from `active` is fenced by a delivery token.
    """


class BrokerRefused(BrokerError):
    """A script refused before its first write, because what it read was not what the protocol allows."""


class QueueFull(BrokerError):
    """Redis is at its `maxmemory`. Nothing was enqueued; workers go on and make room."""


class NotReplicated(BrokerError):
    """The tasks are accepted and will most likely run, but too few replicas have confirmed them in time.

    They are lost only if this Redis dies before it has told a replica. `accepted` are the tasks, `replicas` how many
    confirmed, `wanted` how many should have. Sending them again under the same ids is harmless and waits anew.
    """

    def __init__(self, accepted: Sequence[Enqueued], replicas: int, wanted: int, reason: str = "") -> None:
        ids = ", ".join(one.id for one in accepted[:3]) + (", …" if len(accepted) > 3 else "")
        tasks = f"{len(accepted)} tasks are" if len(accepted) != 1 else "1 task is"
        super().__init__(
            f"{tasks} accepted ({ids}), but {replicas} of {wanted} replicas confirmed in time"
            f"{f': {reason}' if reason else ''}. Sending again under the same id is harmless"
        )
        self.accepted = list(accepted)
        self.replicas = replicas
        self.wanted = wanted
        self.reason = reason


class ProtocolMismatch(BrokerError):
    """This process and the queue's data, or one of its workers, speak protocols that are more than one apart.

    Nothing was done. `worker` tells that it is a worker that differs: a scheduler waits for it.
    """

    def __init__(self, ours: int, theirs: int, *, worker: bool = False) -> None:
        where = "by a registered worker" if worker else "in Redis"
        if ours < theirs:
            remedy = f"upgrade this process (its package, image or chart) to protocol {theirs - 1} or later"
        elif worker:
            remedy = f"upgrade the worker image to protocol {ours - 1} or later"
        else:
            remedy = f"upgrade the queue's scheduler (the chart) and its workers to protocol {ours - 1} or later first"
        super().__init__(f"protocol {ours} here, {theirs} {where}: {remedy}. Protocols may differ by one")
        self.ours = ours
        self.theirs = theirs


class InvalidTask(FerrymanError):
    """A task that can't be accepted or decoded.

    `field` names the part that is wrong: a parameter of the handler, or an enqueue option.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class UnknownTask(InvalidTask):
    """No handler of the queue has this name."""

    def __init__(self, queue: str, name: str, nearest: str | None = None) -> None:
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__("task", f"queue {queue!r} has no task {name!r}{hint}")
        self.queue = queue
        self.name = name
        self.nearest = nearest


class PayloadTooLarge(InvalidTask):
    """The encoded arguments are over the limit. Store the data elsewhere and pass a reference."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__("args", f"{size} bytes encoded, the limit is {limit}: store the data and pass a reference")
        self.size = size
        self.limit = limit


class ResultError(FerrymanError):
    """Base of what stands in the way of a task's result. `queue` and `task_id` say which task."""

    def __init__(self, queue: str, task_id: str, message: str) -> None:
        super().__init__(f"task {task_id} of {queue}: {message}")
        self.queue = queue
        self.task_id = task_id


class TaskFailed(ResultError):
    """The task is dead. `error` is what is kept with it: a sentence, then a traceback."""

    def __init__(self, queue: str, task_id: str, error: str) -> None:
        super().__init__(queue, task_id, f"is dead: {error}")
        self.error = error


class WorkflowFailed(TaskFailed):
    """A task of the workflow is dead, so the one that was waited for can't begin. `task_id` is the dead one.

    It goes on when that one is revived, and may be waited for again.
    """

    def __init__(self, queue: str, task_id: str, error: str, *, waiting: str) -> None:
        remedy = f"`ferryman revive {queue} {task_id}` lets the workflow go on"
        ResultError.__init__(self, queue, task_id, f"is dead, and {waiting} waits for it; {remedy}: {error}")
        self.error = error
        self.waiting = waiting


class TaskDiscarded(ResultError):
    """The task was taken out before it had come to its end: cancelled, purged, or past its retention."""

    def __init__(self, queue: str, task_id: str, message: str = "was discarded before it had come to its end") -> None:
        super().__init__(queue, task_id, message)


class TaskCancelled(TaskDiscarded):
    """The task was cancelled while it ran."""

    def __init__(self, queue: str, task_id: str) -> None:
        super().__init__(queue, task_id, "was cancelled while it ran")


class TaskExpired(TaskDiscarded):
    """The task's deadline passed before a worker ran it."""

    def __init__(self, queue: str, task_id: str) -> None:
        super().__init__(queue, task_id, "expired: its deadline passed before a worker ran it")


class ResultTimeout(ResultError, TimeoutError):
    """The task had not ended in the time that was given. It goes on, and may be waited for again."""

    def __init__(self, queue: str, task_id: str, timeout_s: float, state: str) -> None:
        super().__init__(queue, task_id, f"has not ended within {timeout_s:g} s{f', and is {state}' if state else ''}")
        self.timeout_s = timeout_s
        self.state = state


class ResultNotKept(ResultError):
    """There is no result to be had: none is kept of this task, or no longer, or it could not be kept."""


class DuplicateHandler(FerrymanError):
    """Two functions were registered under one task name in one queue."""

    def __init__(self, queue: str, name: str, first: str, second: str) -> None:
        super().__init__(f"queue {queue!r} has two handlers named {name!r}: {first} and {second}; give one a name=")
        self.queue = queue
        self.name = name


class AppImportError(FerrymanError):
    """The module given as --app can't be imported, or holds no queue."""
