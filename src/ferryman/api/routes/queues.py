"""Queues: look at them, hold and resume, revive what died, reset."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter

from ferryman.api.problems import Problem, invalid
from ferryman.api.schema import (
    HoldReply,
    ProblemReply,
    QueueDetail,
    QueueList,
    ResetBody,
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

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ProblemReply, "description": "No such queue."}}

# A sweep of a long queue ends after this long, and the answer says that more is left.
_SWEEP_S = 20.0


@router.get("", response_model=QueueList, summary="The figures of all queues")
async def list_queues(services: UsesServices) -> dict[str, Any]:
    """Every queue that was ever used on this Redis."""
    figures = await run_plan_async(services.link, figures_of())
    return {"queues": [_view(one) for one in figures]}


@router.get("/{queue}", response_model=QueueDetail, responses=_UNKNOWN, summary="A queue in full")
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


@router.post("/{queue}/hold", summary="Stop workers from fetching")
async def hold(queue: QueueInPath, services: UsesServices) -> HoldReply:
    """Running tasks finish; new ones are accepted and wait."""
    await services.link.run(QueuePolicy(queue).hold(True))
    return HoldReply(queue=queue, hold=True)


@router.post("/{queue}/resume", summary="Let workers fetch again")
async def resume(queue: QueueInPath, services: UsesServices) -> HoldReply:
    """Ends a hold."""
    await services.link.run(QueuePolicy(queue).hold(False))
    return HoldReply(queue=queue, hold=False)


@router.post("/{queue}/revive", summary="Move dead tasks back to waiting")
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


@router.post("/{queue}/reset", summary="Discard what waits in a queue")
async def reset(queue: QueueInPath, services: UsesServices, body: ResetBody | None = None) -> ResetReply:
    """Discards the waiting, delayed and dead tasks, for good; other queues are not touched.

    Without `{"confirm": "<queue>"}` nothing is done, and the problem says what would be discarded.
    """
    body = body or ResetBody()
    stats = await services.link.run(Inspector(queue).stats())
    counts = {state: getattr(stats, state, None) for state in body.states if state != "completed"}
    if body.confirm != queue:
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
