"""kopf's handlers: they take what the watches show into the world, and do nothing else.

`on.event` handlers leave no finalizers and no annotations behind, so an object can always be deleted. What follows
from a change is decided by the loop in its next pass.
"""

from __future__ import annotations

from typing import Any

import kopf

from ferryman_operator.world import Kind, World


def _world(memo: kopf.Memo) -> World:
    world: World = memo.world
    return world


@kopf.on.event("ferryman.dev", "v1alpha1", "taskqueues")
async def taskqueue(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A TaskQueue came, changed or went."""
    _world(memo).observe(Kind.TASK_QUEUE, event["type"], event["object"])


@kopf.on.event("ferryman.dev", "v1alpha1", "taskschedules")
async def taskschedule(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A TaskSchedule came, changed or went."""
    _world(memo).observe(Kind.TASK_SCHEDULE, event["type"], event["object"])


@kopf.on.event("apps", "v1", "deployments")
async def deployment(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A worker or scheduler Deployment came, changed or went."""
    _world(memo).observe(Kind.DEPLOYMENT, event["type"], event["object"])


@kopf.on.event("batch", "v1", "cronjobs")
async def cronjob(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A recovery CronJob came, changed or went."""
    _world(memo).observe(Kind.CRON_JOB, event["type"], event["object"])


@kopf.on.event("policy", "v1", "poddisruptionbudgets")
async def disruption_budget(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A PodDisruptionBudget came, changed or went."""
    _world(memo).observe(Kind.DISRUPTION_BUDGET, event["type"], event["object"])


@kopf.on.event("", "v1", "pods")
async def worker_pod(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A worker's pod came, changed or went."""
    _world(memo).observe(Kind.POD, event["type"], event["object"])
