"""SeenTask: a task as a test sees it: what was enqueued, and where it is now."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, ParamSpec

from ferryman.arguments import encode_json
from ferryman.handler import AnyHandler, Handler
from ferryman.options import TaskOptions
from ferryman.task import Task, TaskState

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class SeenTask(Generic[P]):
    """One task. `args` is what it was enqueued with, by parameter name, as its handler gets it: decoded from the JSON
    to the types of the annotations (without the handler: as plain JSON values). Of a workflow's node, a parameter
    that takes another's result is there as soon as that result is.

    `state` is None when Redis has nothing of it any more, as after a cancel.
    """

    id: str
    queue: str
    name: str
    args: dict[str, Any]
    state: TaskState | None
    attempt: int  # attempts spent
    priority: int
    unique: str
    run_at: datetime | None  # when it is due, while it is delayed
    options: TaskOptions  # max_attempts, timeout_s and backoff, where its enqueue named them
    error: str  # of its last run, when that failed
    result: Any  # what its handler returned, if that is kept
    progress: dict[str, Any] | None  # done, total and note, as its handler last said
    why: str  # it was discarded: cancelled or expired
    handler: Handler[P, ..., Any] | None = field(repr=False, compare=False)

    def called_with(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Whether it was enqueued with just these arguments. Type checkers check them as they check `enqueue`'s.

        `previous` and `node.result` are equal to whatever result the parameter takes.

        Raises TypeError when its handler is not known here, and InvalidTask for arguments that don't fit it.
        """
        if self.handler is None:
            raise TypeError(f"no handler named {self.name!r} is known here; compare .args")
        item = self.handler.task(*args, **kwargs)
        if not item.binds.keys() <= (self.options.binds or {}).keys():
            return False
        given = self.handler.decode_args(item.task.args, without=item.binds)
        return given == {name: value for name, value in self.args.items() if name not in item.binds}


def see(
    enqueued: Task, present: Task | None, taken: dict[str, Any], handler: Handler[P, ..., Any] | None
) -> SeenTask[P]:
    """What was recorded when it was enqueued, the results that it has `taken`, and where it is at present."""
    now = present or enqueued
    # A debounced task takes over the arguments of a later enqueue; once it has completed Redis keeps none.
    encoded = now.args or enqueued.args
    options = TaskOptions.decode(enqueued.options)
    args: dict[str, Any] = json.loads(encoded)
    if taken:
        args |= taken
        encoded = encode_json(args)
    if handler is not None:
        args = handler.decode_args(encoded, without=options.binds or ())
    return SeenTask(
        id=enqueued.id,
        queue=enqueued.queue,
        name=enqueued.name,
        args=args,
        state=present.state if present else None,
        attempt=now.attempt,
        priority=enqueued.priority,
        unique=enqueued.unique,
        run_at=datetime.fromtimestamp(now.run_at_ms / 1_000, UTC) if now.state is TaskState.DELAYED else None,
        options=options,
        error=now.error,
        result=_result(now, handler),
        progress=json.loads(now.progress) if now.progress else None,
        why=now.why,
        handler=handler,
    )


def _result(task: Task, handler: AnyHandler | None) -> Any:
    if not task.result:
        return None
    return json.loads(task.result) if handler is None else handler.results.decode(task.result)
