"""Enqueue log: one record for every task that was enqueued, for those who log at debug."""

from __future__ import annotations

import logging

from ferryman.logs import trace_fields
from ferryman.new_task import Enqueued, NewTask
from ferryman.options import headers_of


def tell_enqueued(logger: logging.Logger, queue: str, task: NewTask, answer: Enqueued) -> None:
    """`answer` is Redis' to `task`. Ask `logger.isEnabledFor(logging.DEBUG)` once before many."""
    where = {"task_id": answer.id, "queue": queue, "task": task.name, **trace_fields(headers_of(task.options))}
    logger.debug(
        "%s %s", task.name, "enqueued" if answer.created else "existed already, nothing was added", extra=where
    )
