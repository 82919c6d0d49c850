"""Tasks: enqueue, look at, cancel."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from ferryman.api.description import changing, looking
from ferryman.api.problems import Problem
from ferryman.api.schema import EnqueueBody, EnqueuedTask, EnqueueReply, TaskRequests
from ferryman.api.services import QueueInPath, TaskIdInPath, UsesServices
from ferryman.api.task_replies import CancelReply, ListedState, TaskList, TaskReply
from ferryman.cancelling import CancelOutcome
from ferryman.cancelling import cancel as cancel_task
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


@router.delete(
    "/tasks/{queue}/{id}",
    responses=changing("task-not-found", "task-finished", "task-cannot-stop") | {202: {"model": CancelReply}},
    summary="Cancel a task",
)
async def cancel(queue: QueueInPath, task_id: TaskIdInPath, services: UsesServices, response: Response) -> CancelReply:
    """Discards a task that has not started (200), or asks the worker that runs it to stop it (202).

    The wish stays with the task whatever becomes of that worker: it does not go round again. A handler that runs in a
    thread can't be stopped, and nothing is changed (409).
    """
    done = await run_plan_async(services.link, cancel_task(queue, task_id))
    match done.outcome:
        case CancelOutcome.DISCARDED:
            return CancelReply(id=task_id, outcome="discarded", detail=done.reason)
        case CancelOutcome.CANCELLING:
            response.status_code = 202
            return CancelReply(id=task_id, outcome="cancelling", detail=done.reason)
        case CancelOutcome.MISSING:
            raise _unknown(queue, task_id)
    kind = "task-finished" if done.outcome is CancelOutcome.FINISHED else "task-cannot-stop"
    raise Problem(409, kind, f"Task {task_id} of {queue}: {done.reason}.", outcome=done.outcome.value)


@router.get(
    "/queues/{queue}/tasks",
    response_model=TaskList,
    responses=looking("invalid-request"),
    summary="List tasks in one state",
)
async def list_tasks(
    queue: QueueInPath,
    services: UsesServices,
    state: Annotated[ListedState, Query(description="Which tasks.", examples=["dead"])] = "waiting",
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many.", examples=[100])] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000, description="Leave out so many first.", examples=[0])] = 0,
) -> dict[str, Any]:
    """Those whose turn is next first; of dead and completed the newest first."""
    listing = await run_plan_async(services.link, tasks_in(queue, TaskState(state), limit, offset))
    return {"tasks": [task_view(task) for task in listing.tasks], "next_offset": listing.next_offset}


def _unknown(queue: str, task_id: str) -> Problem:
    detail = f"{queue} knows no task {task_id}: it was never enqueued, was discarded, or its kept status has expired."
    return Problem(404, "task-not-found", detail)
