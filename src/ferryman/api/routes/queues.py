"""Queues: look at them, hold and resume, revive what died, reset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query

from ferryman.api.description import changing, looking
from ferryman.api.problems import Problem, invalid
from ferryman.api.schema import (
    DiscardableState,
    HoldReply,
    QueueDetail,
    QueueList,
    ResetBody,
    ResetPreview,
    ResetReply,
    ReviveBody,
    ReviveReply,
)
from ferryman.api.services import QueueInPath, UsesServices
from ferryman.broker import Broker
from ferryman.errors import InvalidTask
from ferryman.inspector import Inspector, QueueStats, queues_known
from ferryman.manifest import nearest
from ferryman.overview import figures_of
from ferryman.plan import run_plan_async
from ferryman.policy import QueuePolicy
from ferryman.sweep import discard_all, revive_all
from ferryman.task import TaskState, check_task_id
from ferryman.task_view import moment
from ferryman.workers import WorkerRegistry, WorkerRow

router = APIRouter(prefix="/queues", tags=["queues"])

# A sweep of a long queue ends after this long, and the answer says that more is left.
_SWEEP_S = 20.0


@router.get("", response_model=QueueList, responses=looking(), summary="The figures of all queues")
async def list_queues(services: UsesServices) -> dict[str, Any]:
    """Every queue that was ever used on this Redis."""
    figures = await run_plan_async(services.link, figures_of())
    return {"queues": [_view(one) for one in figures]}


@router.get(
    "/{queue}",
    response_model=QueueDetail,
    responses=looking("queue-not-found", "invalid-request"),
    summary="A queue in full",
)
async def show(queue: QueueInPath, services: UsesServices) -> dict[str, Any]:
    """Figures, the tasks that its workers can run, and the workers."""
    calls = [Inspector(queue).stats(), Inspector(queue).manifest(), WorkerRegistry(queue).list(), queues_known()]
    replies = await services.link.run_all(calls)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    stats, manifest, workers, known = replies
    if queue not in known and not (stats.enqueued or manifest or workers):
        near = nearest(queue, known)
        hint = f" Did you mean {near!r}?" if near else ""
        raise Problem(404, "queue-not-found", f"Nothing is known of a queue {queue!r}.{hint}", nearest=near)
    return {
        **_view(stats),
        "tasks": [{"name": name, "schema_": task.schema} for name, task in sorted(manifest.items())],
        "worker_list": [_worker(row) for row in workers],
    }


@router.post("/{queue}/hold", responses=changing(), summary="Stop workers from fetching")
async def hold(queue: QueueInPath, services: UsesServices) -> HoldReply:
    """Running tasks finish; new ones are accepted and wait."""
    await services.link.run(QueuePolicy(queue).hold(True))
    return HoldReply(queue=queue, hold=True)


@router.post("/{queue}/resume", responses=changing(), summary="Let workers fetch again")
async def resume(queue: QueueInPath, services: UsesServices) -> HoldReply:
    """Ends a hold."""
    await services.link.run(QueuePolicy(queue).hold(False))
    return HoldReply(queue=queue, hold=False)


@router.post(
    "/{queue}/revive", responses=changing("invalid-json", "redis-full"), summary="Move dead tasks back to waiting"
)
async def revive(queue: QueueInPath, services: UsesServices, body: ReviveBody | None = None) -> ReviveReply:
    """The named ones, or all that are dead now, with all their attempts."""
    if body and body.ids:
        try:
            for task_id in body.ids:
                check_task_id(task_id)
        except InvalidTask as error:
            raise invalid("/ids", error.message) from error
        moved = await services.link.run(Broker(queue).revive(body.ids))
        return ReviveReply(queue=queue, revived=len(moved.ids), left=moved.left)
    ends_at = time.monotonic() + _SWEEP_S
    swept = await run_plan_async(services.link, revive_all(queue, lambda _: time.monotonic() < ends_at))
    return ReviveReply(queue=queue, revived=swept.moved, left=swept.left)


@router.get("/{queue}/reset", responses=looking("invalid-request"), summary="What a reset would discard")
async def preview(
    queue: QueueInPath,
    services: UsesServices,
    states: Annotated[
        list[DiscardableState] | None,
        Query(description="Which tasks; without it those that a reset takes.", examples=[["waiting", "dead"]]),
    ] = None,
) -> ResetPreview:
    """Looks only: nothing is discarded."""
    stats = await services.link.run(Inspector(queue).stats())
    counts = _counts(stats, states or ResetBody().states)
    return ResetPreview(queue=queue, would_discard=counts, active=stats.active, confirm=queue)


@router.post(
    "/{queue}/reset",
    responses=changing("invalid-json", "confirmation-needed"),
    summary="Discard what waits in a queue",
)
async def reset(queue: QueueInPath, services: UsesServices, body: ResetBody | None = None) -> ResetReply:
    """Discards the blocked, waiting, delayed and dead tasks, for good; other queues are not touched.

    Without `{"confirm": "<queue>"}` nothing is done, and the problem says what would be discarded.
    """
    body = body or ResetBody()
    stats = await services.link.run(Inspector(queue).stats())
    if body.confirm != queue:
        counts = _counts(stats, body.states)
        what = ", ".join(f"{count} {state}" for state, count in counts.items()) or "the kept completed"
        detail = f'This would discard {what} tasks of {queue}. To do it, send {{"confirm": "{queue}"}}.'
        raise Problem(422, "confirmation-needed", detail, would_discard=counts)
    ends_at = time.monotonic() + _SWEEP_S
    discarded: dict[str, int] = {}
    for state in body.states:
        plan = discard_all(queue, TaskState(state), lambda _: time.monotonic() < ends_at)
        discarded[str(state)] = (await run_plan_async(services.link, plan)).moved
    complete = time.monotonic() < ends_at
    return ResetReply(queue=queue, discarded=discarded, active=stats.active, complete=complete)


def _counts(stats: QueueStats, states: Sequence[DiscardableState]) -> dict[str, int]:
    # How many completed tasks are kept is no figure of a queue: `completed` counts since the beginning.
    return {state: getattr(stats, state) for state in states if state != "completed"}


def _view(stats: QueueStats) -> dict[str, Any]:
    return {**stats.to_json_dict(), "hold": stats.hold}


def _worker(row: WorkerRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "pod": row.pod,
        "active": row.active,
        "concurrency": row.concurrency,
        "draining": row.draining,
        "app": row.app,
        "version": row.version,
        "started_at": moment(row.started_ms),
    }
