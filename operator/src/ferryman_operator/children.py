"""Children: keeps the objects of TaskQueues as they should be. The APPLY of the loop.

Recovery comes before workers: the CronJob that would take back their tasks is unsuspended before there are more of
them, or there are no more of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ferryman.link import Link
from ferryman_operator import guards, names
from ferryman_operator.applier import Applier, Wish
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.cluster import ClusterError, Conflict, Forbidden, Invalid, NotLeading
from ferryman_operator.monitors import scheduler_monitor, worker_monitor
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

#: Kinds whose rejection is the fault of what the spec says.
_FROM_SPEC: Final = (Kind.DEPLOYMENT, Kind.CRON_JOB)

#: What is made once for all TaskQueues of a namespace with the same Redis.
_OF_SCHEDULERS: Final = (Kind.DEPLOYMENT, Kind.POD_MONITOR)


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
        specs = tuple(tracked.spec for tracked in group if tracked.spec)
        settings = self._settings
        leader = _leader(group)
        suspended = self._suspended(group, leader)
        await self._apply_all((one, self._recovery(one, specs, one is not leader or suspended)) for one in group)
        recovers = leader.refusal is None
        name = names.scheduler_deployment(specs[0].redis)
        image, resources = settings.scheduler_image, settings.scheduler_resources
        args = (specs, image, resources, settings.pull_policy, settings.pull_secrets)
        shared = [Wish(Kind.DEPLOYMENT, leader.namespace, name, scheduler_deployment, args)]
        if self._monitors:
            given = (specs, settings.pod_monitors)
            shared.append(Wish(Kind.POD_MONITOR, leader.namespace, name, scheduler_monitor, given))
        for wish in shared:
            if problem := await self._try(wish):
                for tracked in group:
                    _note(tracked, problem)
        await self._apply_all((one, wish) for one in group for wish in self._workers(one, recovers))

    async def _apply_all(self, wishes: Iterable[tuple[Tracked, Wish]]) -> None:
        """Apply all that differ. In most passes nothing does, so it is found out without a task for each."""
        if pending := [pair for pair in wishes if not self._applier.is_settled(pair[1])]:
            await asyncio.gather(*(self._apply_one(tracked, wish) for tracked, wish in pending))

    async def _apply_one(self, tracked: Tracked, wish: Wish) -> None:
        _note(tracked, await self._try(wish), wish.kind if wish.kind in _FROM_SPEC else "")

    def _recovery(self, tracked: Tracked, group: tuple[TaskQueueSpec, ...], suspended: bool) -> Wish:
        spec = tracked.spec
        assert spec
        # The one that runs on schedule does so for all; the others are for runs by hand.
        queues = (spec.queue,) if suspended else tuple(one.queue for one in group)
        settings = self._settings
        args = (spec, queues, settings.scheduler_image, settings.pull_policy, suspended, settings.pull_secrets)
        return Wish(Kind.CRON_JOB, spec.namespace, names.recovery_cronjob(spec.name), recovery_cronjob, args)

    def _workers(self, tracked: Tracked, recovers: bool) -> Iterator[Wish]:
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
        name = names.worker_deployment(spec.name)
        yield Wish(Kind.DEPLOYMENT, spec.namespace, name, worker_deployment, (spec, replicas))
        yield Wish(Kind.DISRUPTION_BUDGET, spec.namespace, name, guards.disruption_budget, (spec,))
        if self._monitors:
            yield Wish(Kind.POD_MONITOR, spec.namespace, name, worker_monitor, (spec, self._settings.pod_monitors))

    @property
    def _monitors(self) -> bool:
        return self.pod_monitors and self._settings.pod_monitors.enabled

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
        """Delete schedulers, and what belongs to them, whose TaskQueues have all moved to another Redis."""
        wanted = {(one.namespace, names.scheduler_deployment(one.spec.redis)) for one in queues if one.spec}
        unclear = {one.namespace for one in queues if not one.spec}
        for kind, live in ((of, live) for of in _OF_SCHEDULERS for live in self._world.all(of)):
            metadata = live["metadata"]
            is_scheduler = metadata["labels"].get("app.kubernetes.io/component") == "scheduler"
            key = (metadata["namespace"], metadata["name"])
            if is_scheduler and key not in wanted and metadata["namespace"] not in unclear:
                try:
                    await self._applier.remove(kind, live)
                except ClusterError as error:
                    logger.warning("could not delete the %s of scheduler %s/%s: %s", kind, *key, error)
        self._applier.tidy()

    async def remove_unwanted_monitors(self) -> None:
        """Delete the PodMonitors that were made for TaskQueues before the settings said to make none."""
        if self._settings.pod_monitors.enabled:
            return
        for live in self._world.all(Kind.POD_MONITOR):
            if not names.is_of_taskqueue(live):
                continue
            try:
                await self._applier.remove(Kind.POD_MONITOR, live)
                self._world.forget(Kind.POD_MONITOR, live)
            except ClusterError as error:
                metadata = live["metadata"]
                logger.warning("could not delete PodMonitor %s/%s: %s", metadata["namespace"], metadata["name"], error)

    async def _try(self, wish: Wish) -> ClusterError | None:
        if self._applier.is_settled(wish):
            return None
        try:
            if await self._applier.apply(wish):
                logger.info("applied %s %s/%s", *wish.key)
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
    if isinstance(problem, (Conflict, NotLeading)):
        return  # no fault of anybody: the next pass begins anew, if there is one
    if problem is not None and tracked.refusal is None:
        reason = "Forbidden" if isinstance(problem, Forbidden) else "ApplyFailed"
        tracked.refusal = (reason, str(problem))
