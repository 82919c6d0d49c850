"""Ferryman: a fault-tolerant task queue for Python on Kubernetes.

What needs a Redis client is imported when it is first used: `ferryman --help` loads none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ferryman.backoff import Backoff
from ferryman.context import Context, context
from ferryman.errors import (
    AppImportError,
    BrokerError,
    BrokerRefused,
    BrokerUnavailable,
    DuplicateHandler,
    FerrymanError,
    InvalidTask,
    NotReplicated,
    PayloadTooLarge,
    ProtocolMismatch,
    QueueFull,
    ResultError,
    ResultNotKept,
    ResultTimeout,
    TaskCancelled,
    TaskDiscarded,
    TaskExpired,
    TaskFailed,
    UnknownTask,
    WorkflowFailed,
)
from ferryman.retry import Retry
from ferryman.task import Task, TaskState
from ferryman.version import __version__

if TYPE_CHECKING:
    from ferryman.cancelling import Cancellation, CancelOutcome
    from ferryman.handler import Handler
    from ferryman.limits import Limits
    from ferryman.middleware import DeadTask, Middleware, Outgoing
    from ferryman.new_task import Enqueued
    from ferryman.queue import Queue
    from ferryman.references import previous
    from ferryman.schedule import Cron
    from ferryman.sending import WorkItem
    from ferryman.signature import InvalidHandler
    from ferryman.task_ref import TaskRef
    from ferryman.workflow import Node, Workflow, WorkflowSent, chain, group

_LATER = {
    "Cron": "schedule",
    "DeadTask": "middleware",
    "Enqueued": "new_task",
    "Handler": "handler",
    "InvalidHandler": "signature",
    "Limits": "limits",
    "Middleware": "middleware",
    "Outgoing": "middleware",
    "Cancellation": "cancelling",
    "CancelOutcome": "cancelling",
    "Queue": "queue",
    "TaskRef": "task_ref",
    "Node": "workflow",
    "WorkItem": "sending",
    "Workflow": "workflow",
    "WorkflowSent": "workflow",
    "chain": "workflow",
    "group": "workflow",
    "previous": "references",
}


def __getattr__(name: str) -> Any:
    if module := _LATER.get(name):
        value = globals()[name] = getattr(import_module(f"ferryman.{module}"), name)
        return value
    raise AttributeError(f"module 'ferryman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(globals().keys() | _LATER.keys())


__all__ = [
    "AppImportError",
    "Backoff",
    "BrokerError",
    "BrokerRefused",
    "BrokerUnavailable",
    "CancelOutcome",
    "Cancellation",
    "Context",
    "Cron",
    "DeadTask",
    "DuplicateHandler",
    "Enqueued",
    "FerrymanError",
    "Handler",
    "InvalidHandler",
    "InvalidTask",
    "Limits",
    "Middleware",
    "Node",
    "NotReplicated",
    "Outgoing",
    "PayloadTooLarge",
    "ProtocolMismatch",
    "Queue",
    "QueueFull",
    "ResultError",
    "ResultNotKept",
    "ResultTimeout",
    "Retry",
    "Task",
    "TaskCancelled",
    "TaskDiscarded",
    "TaskExpired",
    "TaskFailed",
    "TaskRef",
    "TaskState",
    "UnknownTask",
    "WorkItem",
    "Workflow",
    "WorkflowFailed",
    "WorkflowSent",
    "__version__",
    "chain",
    "context",
    "group",
    "previous",
]
