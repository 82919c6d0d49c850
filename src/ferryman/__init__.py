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
    UnknownTask,
)
from ferryman.retry import Retry
from ferryman.task import Enqueued, Task, TaskState
from ferryman.version import __version__

if TYPE_CHECKING:
    from ferryman.handler import Handler
    from ferryman.middleware import DeadTask, Middleware, Outgoing
    from ferryman.queue import Queue
    from ferryman.sending import WorkItem
    from ferryman.signature import InvalidHandler

_LATER = {
    "DeadTask": "middleware",
    "Handler": "handler",
    "InvalidHandler": "signature",
    "Middleware": "middleware",
    "Outgoing": "middleware",
    "Queue": "queue",
    "WorkItem": "sending",
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
    "Context",
    "DeadTask",
    "DuplicateHandler",
    "Enqueued",
    "FerrymanError",
    "Handler",
    "InvalidHandler",
    "InvalidTask",
    "Middleware",
    "NotReplicated",
    "Outgoing",
    "PayloadTooLarge",
    "ProtocolMismatch",
    "Queue",
    "QueueFull",
    "Retry",
    "Task",
    "TaskState",
    "UnknownTask",
    "WorkItem",
    "__version__",
    "context",
]
