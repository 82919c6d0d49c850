"""What the API answers about tasks, with the descriptions that OpenAPI shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from ferryman.api.schema import Queue, TaskId
from ferryman.task import TaskState

#: A discarded task whose status is kept is listed among the completed.
ListedState = Literal["blocked", "waiting", "delayed", "active", "dead", "completed"]


class RunView(BaseModel):
    """A run of a task that did not end well."""

    attempt: int = Field(description="Its number. A run that spent no attempt shares it with the next.")
    started_at: str | None = Field(description="Since when its worker had it.")
    ended_at: str | None
    run_s: float | None = Field(description="How long its code ran; null when its worker or process died.")
    outcome: str = Field(
        description="`retried`, `crashed`, `recovered` (no charge for its worker's death), `cancelled` or `dead`."
    )
    worker: str
    error: str | None = Field(description="The first line of its error.")


class ProgressView(BaseModel):
    """How far a run has come."""

    done: float | int | None
    total: float | int | None = Field(description="Of how many; null when the handler did not say.")
    note: str | None
    at: str | None = Field(description="When it was last said.")


class TaskReply(BaseModel):
    """A task. Times are RFC 3339 in UTC; what does not apply is null."""

    id: TaskId
    queue: Queue
    task: str
    state: TaskState
    args: Any
    options: Any
    headers: Any = Field(description="What travels with it: its trace context, when it has one.")
    schedule: str | None = Field(description="The schedule that enqueued it, if one did.")
    attempt: int = Field(description="Attempts spent.")
    deliveries: int = Field(description="Times a worker took it.")
    crashes: int = Field(description="Times a worker died while it held this task alone.")
    priority: int
    unique: str | None
    workflow: str | None = Field(description="The workflow that it is a node of.")
    lane: str | None = Field(description="Whose turn it takes.")
    worker: str | None = Field(description="Who holds it, while it is active.")
    enqueued_at: str | None
    since: str | None = Field(description="In this state since.")
    run_at: str | None = Field(description="When it is due, while it is delayed.")
    finished_at: str | None
    expires_at: str | None = Field(description="When its deadline passes: then no worker runs it any more.")
    waits_for: str | None = Field(description="Of a blocked one: what it waits for.")
    why: str | None = Field(description="Of a discarded one: `cancelled` or `expired`.")
    progress: ProgressView | None = Field(description="How far its run has come, as its handler last said.")
    result: Any = Field(description="What it returned, when that was asked for.")
    result_problem: str | None = Field(description="Why there is no result although it was asked for.")
    error: str | None = Field(description="The latest one, with its traceback.")
    evidence: list[Any] = Field(description="One entry per worker that died with it.")
    history: list[RunView] = Field(description="Its latest runs that did not end well, the oldest first; 10 at most.")


class NodeReply(BaseModel):
    """A node of a workflow: a task like any other, with the id `<workflow>:<name>`."""

    name: str
    id: TaskId
    task: str
    state: str = Field(description="Its task's state, or its last end when that is not kept any more.")
    after: list[str] = Field(description="The nodes that it waits for.")
    on_failure: str = Field(description="What its death means for those that wait for it: `fail` or `ignore`.")
    compensate: str | None = Field(description="The task that undoes it, when the workflow fails.")
    undoes: str | None = Field(description="Of a compensation: the node that it undoes.")


class WorkflowReply(BaseModel):
    """A workflow as it stands."""

    id: str
    queue: Queue
    state: Literal["sending", "running", "failed", "undoing", "undone", "completed", "discarded"] = Field(
        description="`failed`: a node that others wait for is dead; reviving it lets the workflow go on."
    )
    created_at: str | None
    nodes: list[NodeReply]


class TaskList(BaseModel):
    """`next_offset` is null when there are no more."""

    tasks: list[TaskReply]
    next_offset: int | None


class CancelReply(BaseModel):
    """The task is gone (200), or its worker was asked to stop it (202)."""

    id: TaskId
    outcome: Literal["discarded", "cancelling"]
    detail: str
