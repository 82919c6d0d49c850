"""Children: keeps the objects of TaskQueues as they should be. The APPLY of the loop.

Recovery comes before workers: the CronJob that would take back their tasks is unsuspended before there are more of
them, or there are no more of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ferryman.link import Link
from ferryman_operator import guards, names
from ferryman_operator.applier import Applier
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.cluster import ClusterError, Forbidden, Invalid
from ferryman_operator.recovery_cronjob import recovery_cronjob
from ferryman_operator.scheduler_deployment import scheduler_deployment
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.spec import TaskQueueSpec
from ferryman_operator.steering import replicas_of
from ferryman_operator.tracked import Tracked
from ferryman_operator.worker_deployment import worker_deployment
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

#: Workers are not removed on the word of a measurement older than this: they may be busy again.
STALE_S: Final = 5.0


class Children:
    """Applies the children of the TaskQueues of one Redis."""

    def __init__(self, world: World, applier: Applier, settings: OperatorSettings) -> None:
        self._world = world
        self._applier = applier
        self._settings = settings
        self.pod_monitors = False  # whether the cluster knows PodMonitors; looked up from time to time

    async def apply(self, queues: Sequence[Tracked], link: Link | Unmeasured) -> None:
        """Apply what differs. What the API server refuses is noted on the queue that it concerns."""
        groups: defaultdict[tuple[str, str], list[Tracked]] = defaultdict(list)
        for tracked in queues:
            # Nothing new is made before the queue is ours; what exists is looked after meanwhile.
            if tracked.spec and (tracked.claim_granted or self._deployment(tracked.spec)):
                groups[tracked.namespace, names.scheduler_deployment(tracked.spec.redis)].append(tracked)
        await asyncio.gather(*(self._apply_group(group) for group in groups.values()))

    async def _apply_group(self, group: Sequence[Tracked]) -> None:
        specs = [tracked.spec for tracked in group if tracked.spec]
        settings = self._settings
        leader = _leader(group)
        suspended = self._suspended(group, leader)
        await asyncio.gather(*(self._apply_recovery(one, specs, one is not leader or suspended) for one in group))
        recovers = leader.refusal is None
        scheduler = scheduler_deployment(
            specs, settings.scheduler_image, settings.scheduler_resources, settings.pull_policy
        )
        if problem := await self._try(scheduler):
            for tracked in group:
                _note(tracked, problem)
        await asyncio.gather(*(self._apply_workers(tracked, recovers) for tracked in group))

    async def _apply_recovery(self, tracked: Tracked, group: Sequence[TaskQueueSpec], suspended: bool) -> None:
        assert tracked.spec
        settings = self._settings
        # The one that runs on schedule does so for all; the others are for runs by hand.
        queues = [tracked.spec.queue] if suspended else [spec.queue for spec in group]
        wish = recovery_cronjob(
            tracked.spec, queues, settings.scheduler_image, settings.pull_policy, suspended=suspended
        )
        _note(tracked, await self._try(wish), wish["kind"])

    async def _apply_workers(self, tracked: Tracked, recovers: bool) -> None:
        spec, plan = tracked.spec, tracked.plan
        assert spec
        assert plan
        current = replicas_of(self._deployment(spec))
        replicas = plan.replicas
        if replicas > current and not recovers:
            replicas = current
        reading = tracked.reading
        if replicas < current and isinstance(reading, Reading) and time.monotonic() - reading.taken_s > STALE_S:
            replicas = current
        _note(tracked, await self._try(worker_deployment(spec, replicas)), "Deployment")
        _note(tracked, await self._try(guards.disruption_budget(spec)))
        if self.pod_monitors:
            _note(tracked, await self._try(guards.pod_monitor(spec)))

    def _suspended(self, group: Sequence[Tracked], leader: Tracked) -> bool:
        """Recovery rests only while nothing runs in the whole group; while that is not known, it goes on as it was."""
        for tracked in group:
            assert tracked.spec
            assert tracked.plan
            if tracked.plan.replicas or replicas_of(self._deployment(tracked.spec)):
                return False
        readings = [tracked.reading for tracked in group]
        if any(isinstance(reading, Reading) and (reading.workers or reading.stats.active) for reading in readings):
            return False
        if all(isinstance(reading, Reading) for reading in readings):
            return True
        live = self._world.get(Kind.CRON_JOB, leader.namespace, names.recovery_cronjob(leader.name))
        return bool(live and live["spec"].get("suspend"))

    async def remove_unowned_schedulers(self, queues: Sequence[Tracked]) -> None:
        """Delete schedulers whose TaskQueues have all moved to another Redis."""
        wanted = {(one.namespace, names.scheduler_deployment(one.spec.redis)) for one in queues if one.spec}
        unclear = {one.namespace for one in queues if not one.spec}
        for live in self._world.all(Kind.DEPLOYMENT):
            metadata = live["metadata"]
            is_scheduler = metadata["labels"].get("app.kubernetes.io/component") == "scheduler"
            key = (metadata["namespace"], metadata["name"])
            if is_scheduler and key not in wanted and metadata["namespace"] not in unclear:
                try:
                    await self._applier.remove(Kind.DEPLOYMENT, live)
                except ClusterError as error:
                    logger.warning("could not delete scheduler %s/%s: %s", *key, error)

    async def _try(self, wish: Mapping[str, Any]) -> ClusterError | None:
        try:
            if await self._applier.apply(wish):
                logger.info("applied %s %s/%s", wish["kind"], wish["metadata"]["namespace"], wish["metadata"]["name"])
        except ClusterError as error:
            return error
        return None

    def _deployment(self, spec: TaskQueueSpec) -> Mapping[str, Any] | None:
        return self._world.get(Kind.DEPLOYMENT, spec.namespace, names.worker_deployment(spec.name))


def _leader(group: Sequence[Tracked]) -> Tracked:
    """The TaskQueue whose CronJob runs for the whole group: the first whose CronJob is not known to be rejected."""
    return min(group, key=lambda tracked: ("CronJob" in tracked.rejected, tracked.name))


def _note(tracked: Tracked, problem: ClusterError | None, kind: str = "") -> None:
    """Keep the first problem of a pass, for what follows is often its consequence; and whether `kind` is rejected."""
    if kind:
        tracked.rejected.pop(kind, None)
    if isinstance(problem, Invalid) and kind:
        tracked.rejected[kind] = str(problem)
    if problem is not None and tracked.refusal is None:
        reason = "Forbidden" if isinstance(problem, Forbidden) else "ApplyFailed"
        tracked.refusal = (reason, str(problem))
