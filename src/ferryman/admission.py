"""Admission: may this task enter the queue? For producers that have no handler to ask: the CLI and the API.

What the queue's workers can run is in its manifest. A queue whose workers have never run has none (it may be
scaled to zero from birth), and then every well-formed task is admitted: a worker that does not know the name
parks it, it is never lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ferryman.errors import InvalidTask, PayloadTooLarge, UnknownTask
from ferryman.json_schema import first_violation
from ferryman.manifest import TaskManifest, nearest
from ferryman.new_task import NewTask, check_new_task
from ferryman.options import EnqueueOptions
from ferryman.task import MAX_ARGS_BYTES


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
    wanted = options.new_task(task, args, task_id)
    check_new_task(wanted)
    return wanted


def encode_args(args: Mapping[str, Any]) -> bytes:
    """The arguments as they travel. Raises InvalidTask for what JSON cannot say: NaN, infinity, lone surrogates."""
    try:
        return json.dumps(args, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidTask("args", f"cannot be written as JSON: {error}") from error
