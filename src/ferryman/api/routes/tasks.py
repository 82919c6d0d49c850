"""Tasks: enqueue, look at, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query

from ferryman.api.description import changing, looking
from ferryman.api.problems import Problem
from ferryman.api.schema import (
    CancelReply,
    EnqueueBody,
    EnqueuedTask,
    EnqueueReply,
    TaskList,
    TaskReply,
    TaskRequests,
)
from ferryman.api.services import QueueInPath, TaskIdInPath, UsesServices
from ferryman.broker import Broker
from ferryman.headers import trace_context
from ferryman.inspector import Inspector
from ferryman.overview import tasks_in
from ferryman.plan import run_plan_async
from ferryman.task import TaskState
from ferryman.task_view import task_view

router = APIRouter(tags=["tasks"])

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        description="The task's id, so that sending it again adds nothing; of several tasks `<key>:0`, `<key>:1` …",
        examples=["welcome-42"],
    ),
]

Traceparent = Annotated[
    str,
    Header(
        description="W3C trace context: it travels with the tasks, and their runs belong to its trace. "
        "One that is malformed is ignored.",
        examples=["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
    ),
]
Tracestate = Annotated[str, Header(description="Comes with `traceparent`.", examples=["congo=t61rcWkgMzE"])]


@router.post(
    "/tasks",
    status_code=201,
    responses=changing("invalid-json", "unknown-task", "arguments-too-large", "redis-full", "not-replicated"),
    summary="Enqueue one task or several",
)
async def enqueue(
    body: EnqueueBody,
    services: UsesServices,
    idempotency_key: IdempotencyKey = "",
    traceparent: Traceparent = "",
    tracestate: Tracestate = "",
) -> EnqueueReply:
    """Puts tasks into their queues.

    Names and arguments are checked with what each queue's workers published: an unknown name is refused with the
    nearest one, a wrong argument with its parameter. A queue whose workers have never run takes every task.
    """
    many = isinstance(body, TaskRequests)
    requests = body.tasks if isinstance(body, TaskRequests) else [body]
    headers = trace_context(traceparent, tracestate)
    taken = await services.intake.take(requests, idempotency_key.strip().strip('"'), many=many, headers=headers)
    return EnqueueReply(
        ids=[answer.id for _, answer in taken],
        tasks=[EnqueuedTask(queue=queue, id=answer.id, created=answer.created) for queue, answer in taken],
    )


@router.get(
    "/tasks/{queue}/{id}",
    response_model=TaskReply,
    responses=looking("task-not-found", "invalid-request"),
    summary="Look at a task",
)
async def show(queue: QueueInPath, task_id: TaskIdInPath, services: UsesServices) -> dict[str, Any]:
    """State, arguments, attempts, and the last error of a task."""
    task = await services.link.run(Inspector(queue).get(task_id))
    if task is None:
        raise _unknown(queue, task_id)
    return task_view(task)


@router.delete("/tasks/{queue}/{id}", responses=changing("task-not-found", "task-started"), summary="Cancel a task")
async def cancel(queue: QueueInPath, task_id: TaskIdInPath, services: UsesServices) -> CancelReply:
    """Discards a task that has not started."""
    outcome = await services.link.run(Broker(queue).cancel(task_id))
    if outcome == "discarded":
        return CancelReply(id=task_id, outcome="discarded")
    if outcome == "missing":
        raise _unknown(queue, task_id)
    what = "is running; a worker holds it and will finish it" if outcome == "active" else "has finished already"
    raise Problem(409, "task-started", f"Task {task_id} of {queue} {what}.", outcome=outcome)


@router.get(
    "/queues/{queue}/tasks",
    response_model=TaskList,
    responses=looking("invalid-request"),
    summary="List tasks in one state",
)
async def list_tasks(
    queue: QueueInPath,
    services: UsesServices,
    state: Annotated[TaskState, Query(description="Which tasks.", examples=["dead"])] = TaskState.WAITING,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.", examples=[100])] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000, description="Leave out so many first.", examples=[0])] = 0,
) -> dict[str, Any]:
    """Those whose turn is next first; of dead and completed the newest first."""
    tasks = await run_plan_async(services.link, tasks_in(queue, state, limit, offset))
    next_offset = offset + limit if len(tasks) == limit else None
    return {"tasks": [task_view(task) for task in tasks], "next_offset": next_offset}


def _unknown(queue: str, task_id: str) -> Problem:
    detail = f"{queue} knows no task {task_id}: it was never enqueued, was discarded, or its kept status has expired."
    return Problem(404, "task-not-found", detail)
