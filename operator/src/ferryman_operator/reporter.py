"""Reporter: writes a TaskQueue's status and tells its story in events. The REPORT of the loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ferryman_operator import finalizer, names, status, story
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.cluster import Cluster, ClusterError, NotFound, NotLeading
from ferryman_operator.conditions import Condition, Findings, conditions
from ferryman_operator.discord import discord
from ferryman_operator.drain import STARTING_S
from ferryman_operator.events import Events
from ferryman_operator.pods import Pod
from ferryman_operator.spec import ScalingMode, StopPolicy
from ferryman_operator.steering import held_by_spec, replicas_of
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

#: Live figures of all queues together cost the API server at most so many writes.
LIVE_WRITES_PER_S: Final = 20.0


class Reporter:
    """Reports on TaskQueues, one at a time."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self._world = world
        self.cluster = cluster
        self._scalings: dict[str, story.Scalings] = {}  # by uid
        self.events = Events(cluster)
        self._said: dict[str, tuple[Mapping[str, Any], object]] = {}  # the status by uid, and what it was made from
        self._late: set[str] = set()  # uids of those whose live figures are newer than what is reported

    def report(self, tracked: Tracked) -> Coroutine[Any, Any, None] | None:
        """What writes the status and posts events for what has changed; None, as mostly, when nothing is to be said."""
        deployment = self._world.get(Kind.DEPLOYMENT, tracked.namespace, names.worker_deployment(tracked.name))
        after = replicas_of(deployment)
        old = tracked.body.get("status") or {}
        first = after if old else 0  # of a new TaskQueue everything is news
        scalings = self._scalings.setdefault(tracked.uid, story.Scalings(first, first))
        scaled = scalings.replicas != after
        found = conditions(self._findings(tracked, deployment))
        known = (found, after, _figures(tracked, deployment))
        said = self._said.get(tracked.uid)
        if said and said[0] is old and said[1] == known and not scaled:
            new, patch = old, None  # as reported: the same would come out again
        else:
            new = self._status(tracked, old, deployment, found, scaled)
            patch = status.patch(old, new, since_last_s=time.monotonic() - tracked.reported_s, every_s=self._every_s())
            if new == old:
                self._said[tracked.uid] = (old, known)
        self._late.discard(tracked.uid)
        if patch is None and old.get("tasks") != new.get("tasks"):
            self._late.add(tracked.uid)
        wanted = tracked.decision.wanted if tracked.decision else after
        if change := scalings.look(after, wanted, time.monotonic()):
            tracked.tell.append(story.scaled(*change, _why(tracked, *change)))
        # A change of a condition is urgent, so without a patch there is none to tell of.
        if patch is None and not tracked.tell and not _unseeded(tracked) and finalizer.is_right(tracked):
            return None
        return self._say(tracked, old, new, patch, after)

    def _status(
        self,
        tracked: Tracked,
        old: Mapping[str, Any],
        deployment: Mapping[str, Any] | None,
        found: list[Condition],
        scaled: bool,
    ) -> dict[str, Any]:
        return status.build(
            old,
            name=tracked.name,
            generation=int(tracked.body["metadata"].get("generation", 0)),
            deployment=deployment,
            reading=tracked.reading if isinstance(tracked.reading, Reading) else None,
            decision=tracked.decision,
            scaled=scaled,
            found=found,
            now=datetime.now(UTC),
        )

    def _every_s(self) -> float:
        """How often live figures are written: the more queues have new ones, the more rarely each."""
        return max(status.LIVE_EVERY_S, len(self._late) / LIVE_WRITES_PER_S)

    async def _say(
        self,
        tracked: Tracked,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        patch: Mapping[str, Any] | None,
        after: int,
    ) -> None:
        told = [*tracked.tell, *story.transitions(old, new)]
        tracked.tell.clear()  # at once: the next pass may have more to tell before this is said
        for one in told:
            await self.events.post(tracked, one)
        if patch is not None:
            await self._write(tracked, patch)
        await self._seed(tracked, after)
        await finalizer.keep(tracked, self.cluster, self._world)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._scalings.pop(uid, None)
        self.events.forget(uid)
        self._late.discard(uid)
        self._said.pop(uid, None)

    def _findings(self, tracked: Tracked, deployment: Mapping[str, Any] | None) -> Findings:
        reading = tracked.reading
        spec = tracked.spec
        pods = self._world.workers_of(tracked.namespace, tracked.name)
        troubles = [f"pod {pod.name}: {trouble}" for pod in pods if (trouble := pod.trouble or _slow(pod))]
        scheduler = None
        if spec:
            scheduler = self._world.get(Kind.DEPLOYMENT, spec.namespace, names.scheduler_deployment(spec.redis))
        return Findings(
            generation=int(tracked.body["metadata"].get("generation", 0)),
            invalid=tracked.invalid or next(iter(tracked.rejected.values()), ""),
            unmeasured=reading if isinstance(reading, Unmeasured) else None,
            durability=tracked.durability,
            claimed_by=tracked.claimed_by,
            refusal=tracked.refusal,
            policy_written=spec is not None and tracked.policy_generation == spec.generation,
            policy_behind=len(tracked.policy_behind),
            decision=tracked.decision if tracked.is_ours else None,
            awaits=tracked.plan.awaits if tracked.plan else "",
            stop_policy=spec.stop_policy if spec else StopPolicy.NONE,
            on_hold=isinstance(reading, Reading) and reading.stats.hold,
            held_by_spec=held_by_spec(tracked),
            pause=tracked.pause,
            ready_workers=_ready_replicas(deployment),
            schedules=_ready_replicas(scheduler) > 0,
            discord=discord(reading) if isinstance(reading, Reading) else None,
            protocol=reading.stats.protocol if isinstance(reading, Reading) else 0,
            trouble=troubles[0] if troubles else _replica_failure(deployment),
        )

    async def _write(self, tracked: Tracked, patch: Mapping[str, Any]) -> None:
        try:
            reply = await self.cluster.patch_status(tracked.namespace, tracked.name, patch)
        except (NotFound, NotLeading):
            return  # deleted meanwhile, or another operator's by now
        except ClusterError as error:
            logger.warning("could not write the status of %s/%s: %s", tracked.namespace, tracked.name, error)
            return
        tracked.reported_s = time.monotonic()
        self._world.put(Kind.TASK_QUEUE, reply)
        tracked.update(reply)

    async def _seed(self, tracked: Tracked, replicas: int) -> None:
        """An autoscaler reads a missing spec.replicas as "switched off": begin with what there is."""
        if not (_unseeded(tracked) and (spec := tracked.spec)):
            return
        try:
            await self.cluster.seed_replicas(
                tracked.namespace, tracked.name, max(replicas, spec.scaling.min_replicas, 1)
            )
        except ClusterError as error:
            logger.warning("could not set spec.replicas of %s/%s: %s", tracked.namespace, tracked.name, error)


def _figures(tracked: Tracked, deployment: Mapping[str, Any] | None) -> tuple[object, ...]:
    """What a status tells beside conditions."""
    live, decision, reading = (deployment or {}).get("status") or {}, tracked.decision, tracked.reading
    decided = (decision.wanted, decision.reason, decision.message) if decision else None
    counted: object = None
    if isinstance(reading, Reading):
        stats = reading.stats
        since_ms = round(stats.now_ms - stats.oldest_waiting_s * 1000) if stats.waiting else 0
        counted = (stats.waiting, stats.active, stats.delayed, stats.blocked, stats.dead, since_ms)
    return decided, live.get("replicas", 0), live.get("readyReplicas", 0), counted


def _unseeded(tracked: Tracked) -> bool:
    scaling = tracked.spec.scaling if tracked.spec else None
    return scaling is not None and scaling.mode is ScalingMode.EXTERNAL and scaling.replicas is None


def _ready_replicas(deployment: Mapping[str, Any] | None) -> int:
    return int(((deployment or {}).get("status") or {}).get("readyReplicas", 0))


def _slow(pod: Pod) -> str:
    """A pod that runs and does not get ready: the application may not load, or not register."""
    starting = pod.ready or pod.terminating or time.time() - pod.created_s < STARTING_S
    return "" if starting else "runs but does not get ready; its log may say why"


def _why(tracked: Tracked, before: int, after: int) -> str:
    wanted = tracked.decision.wanted if tracked.decision else after
    if after > max(before, wanted):
        return f"changed by somebody else; {wanted} are wanted"
    return tracked.decision.message if tracked.decision else ""


def _replica_failure(deployment: Mapping[str, Any] | None) -> str:
    """Why Kubernetes can't even make the pods: a quota, a pod security level."""
    return str(
        next(
            (
                condition.get("message", "")
                for condition in ((deployment or {}).get("status") or {}).get("conditions") or ()
                if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
            ),
            "",
        )
    )
