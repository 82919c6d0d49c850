"""Ferryman: a fault-tolerant task queue for Python on Kubernetes."""

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
    PayloadTooLarge,
    ProtocolMismatch,
    QueueFull,
    UnknownTask,
)
from ferryman.handler import Handler
from ferryman.producer import WorkItem
from ferryman.queue import Queue
from ferryman.retry import Retry
from ferryman.signature import InvalidHandler
from ferryman.task import Enqueued, Task, TaskState
from ferryman.version import __version__

__all__ = [
    "AppImportError",
    "Backoff",
    "BrokerError",
    "BrokerRefused",
    "BrokerUnavailable",
    "Context",
    "DuplicateHandler",
    "Enqueued",
    "FerrymanError",
    "Handler",
    "InvalidHandler",
    "InvalidTask",
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
