"""Admission: may this task enter the queue? For producers that have no handler to ask: the CLI and the API.

What the queue's workers can run is in its manifest. A queue whose workers have never run has none (it may be
scaled to zero from birth), and then every well-formed task is admitted: a worker that does not know the name
parks it, it is never lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ferryman.errors import InvalidTask, PayloadTooLarge, UnknownTask
from ferryman.ids import new_task_id
from ferryman.json_schema import first_violation
from ferryman.manifest import TaskManifest, nearest
from ferryman.options import EnqueueOptions
from ferryman.task import MAX_ARGS_BYTES, NewTask, check_new_task

# One script call stays within milliseconds, and one request to Redis within a few megabytes.
_BATCH_TASKS: Final = 250
_BATCH_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Admission:
    """Checks tasks against one queue's manifest."""

    queue: str
    manifest: Mapping[str, TaskManifest]

    def check(self, task: str, args: Mapping[str, Any]) -> None:
        """Raises UnknownTask with the nearest name, or InvalidTask naming the parameter that does not fit."""
        if not self.manifest:
            return
        known = self.manifest.get(task)
        if known is None:
            raise UnknownTask(self.queue, task, nearest(task, self.manifest))
        if violation := first_violation(known.schema, args):
            raise InvalidTask(violation.where or "args", violation.message)


def new_task(task: str, args: bytes, options: EnqueueOptions, task_id: str = "") -> NewTask:
    """The task to enqueue; with an id of its own unless `task_id` or the options name one.

    Raises InvalidTask or PayloadTooLarge.
    """
    if len(args) > MAX_ARGS_BYTES:
        raise PayloadTooLarge(len(args), MAX_ARGS_BYTES)
    wanted = NewTask(
        id=task_id or options.id or new_task_id(),
        name=task,
        args=args,
        options=options.encoded,
        delay_ms=options.delay_ms,
        run_at_ms=options.run_at_ms,
        priority=options.priority,
        unique=options.unique,
    )
    check_new_task(wanted)
    return wanted


def encode_args(args: Mapping[str, Any]) -> bytes:
    """The arguments as they travel. Raises InvalidTask for what JSON cannot say: NaN, infinity, lone surrogates."""
    try:
        return json.dumps(args, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidTask("args", f"cannot be written as JSON: {error}") from error


def batches(tasks: Iterable[NewTask]) -> Iterator[list[NewTask]]:
    """The tasks in their order, in parts that one script call can take."""
    batch: list[NewTask] = []
    size = 0
    for task in tasks:
        if len(batch) == _BATCH_TASKS or (batch and size + len(task.args) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += len(task.args)
    if batch:
        yield batch
