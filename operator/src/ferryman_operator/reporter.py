"""Reporter: writes a TaskQueue's status and tells its story in events. The REPORT of the loop."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ferryman_operator import names, status
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.cluster import Cluster, ClusterError, NotFound
from ferryman_operator.conditions import REDIS_EVICTS, Findings, conditions
from ferryman_operator.drain import STARTING_S
from ferryman_operator.pods import Pod
from ferryman_operator.spec import ScalingMode, StopPolicy
from ferryman_operator.steering import replicas_of
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

_SCALED: Final = {True: "ScaledUp", False: "ScaledDown"}


class Reporter:
    """Reports on TaskQueues, one at a time."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self._world = world
        self._cluster = cluster
        self._replicas: dict[str, int] = {}  # by uid, as last reported

    async def report(self, tracked: Tracked) -> None:
        """Write the status if that is worth a write, and post events for what has changed."""
        deployment = self._world.get(Kind.DEPLOYMENT, tracked.namespace, names.worker_deployment(tracked.name))
        before, after = self._replicas.get(tracked.uid), replicas_of(deployment)
        self._replicas[tracked.uid] = after
        scaled = before is not None and before != after
        old = tracked.body.get("status") or {}
        new = status.build(
            old,
            name=tracked.name,
            generation=int(tracked.body["metadata"].get("generation", 0)),
            deployment=deployment,
            reading=tracked.reading if isinstance(tracked.reading, Reading) else None,
            decision=tracked.decision,
            scaled=scaled,
            found=conditions(self._findings(tracked, deployment)),
            now=datetime.now(UTC),
        )
        if scaled and before is not None:
            message = f"{before} -> {after}: {_why(tracked, before, after)}"
            await self._post(tracked, "Normal", _SCALED[after > before], message)
        await self._post_transition(tracked, old, new)
        await self._post_durability(tracked, old, new)
        await self._write(tracked, old, new)
        await self._seed(tracked, after)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        self._replicas.pop(uid, None)

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
            decision=tracked.decision if tracked.is_ours else None,
            awaits=tracked.plan.awaits if tracked.plan else "",
            stop_policy=spec.stop_policy if spec else StopPolicy.NONE,
            on_hold=isinstance(reading, Reading) and reading.stats.hold,
            ready_workers=_ready_replicas(deployment),
            schedules=_ready_replicas(scheduler) > 0,
            trouble=troubles[0] if troubles else _replica_failure(deployment),
        )

    async def _write(self, tracked: Tracked, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        patch = status.patch(old, new, since_last_s=time.monotonic() - tracked.reported_s)
        if patch is None:
            return
        try:
            reply = await self._cluster.patch_status(tracked.namespace, tracked.name, patch)
        except NotFound:
            return  # deleted meanwhile
        except ClusterError as error:
            logger.warning("could not write the status of %s/%s: %s", tracked.namespace, tracked.name, error)
            return
        tracked.reported_s = time.monotonic()
        self._world.put(Kind.TASK_QUEUE, reply)
        tracked.update(reply)

    async def _post_transition(self, tracked: Tracked, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """One event when the queue gets into trouble, and one when it is out of it."""
        ready = {name: _condition(one, "Ready") for name, one in (("old", old), ("new", new))}
        was, now = ready["old"], ready["new"]
        if not was and now["reason"] == "SchedulerNotReady":
            return  # it has just been made
        if now.get("status") == "False" and (was.get("status"), was.get("reason")) != ("False", now["reason"]):
            await self._post(tracked, "Warning", now["reason"], now["message"])
        elif now.get("status") == "True" and was.get("status") == "False":
            await self._post(tracked, "Normal", "Ready", f"no longer {was['reason']}: {now['message']}")

    async def _post_durability(self, tracked: Tracked, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """One event when tasks may get lost by their Redis, and one when that is over."""
        was, now = _condition(old, "RedisDurable"), _condition(new, "RedisDurable")
        if now.get("status") == "False" and (was.get("status"), was.get("reason")) != ("False", now["reason"]):
            if _condition(new, "Ready").get("reason") != REDIS_EVICTS:  # or it is said already
                await self._post(tracked, "Warning", now["reason"], now["message"])
        elif (now.get("status"), was.get("status")) == ("True", "False") and (
            _condition(old, "Ready").get("reason") != REDIS_EVICTS
        ):
            await self._post(tracked, "Normal", "RedisDurable", f"no longer {was['reason']}: {now['message']}")

    async def _seed(self, tracked: Tracked, replicas: int) -> None:
        """An autoscaler reads a missing spec.replicas as "switched off": begin with what there is."""
        spec = tracked.spec
        if spec is None or spec.scaling.mode is not ScalingMode.EXTERNAL or spec.scaling.replicas is not None:
            return
        try:
            await self._cluster.seed_replicas(
                tracked.namespace, tracked.name, max(replicas, spec.scaling.min_replicas, 1)
            )
        except ClusterError as error:
            logger.warning("could not set spec.replicas of %s/%s: %s", tracked.namespace, tracked.name, error)

    async def _post(self, tracked: Tracked, kind: str, reason: str, message: str) -> None:
        now = status.timestamp(datetime.now(UTC))
        event = {
            "metadata": {"name": f"{tracked.name}.{secrets.token_hex(8)}", "namespace": tracked.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "namespace": tracked.namespace,
                "name": tracked.name,
                "uid": tracked.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": names.MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        logger.info("%s %s/%s: %s", reason, tracked.namespace, tracked.name, message)
        try:
            await self._cluster.create_event(event)
        except ClusterError as error:
            logger.warning("could not post an event on %s/%s: %s", tracked.namespace, tracked.name, error)


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


def _condition(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next((one for one in report.get("conditions") or () if one["type"] == name), {})


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
