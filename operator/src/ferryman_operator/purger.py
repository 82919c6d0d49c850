"""Purger: discards the tasks of a TaskQueue that is deleted with deletionPolicy Purge, and then lets it go.

The workers end first, the claim is checked, and tasks are discarded in small steps. All of it is bounded: a namespace
must never hang on a Redis that is away. Whatever happens, the object is gone after `PATIENCE_S`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ferryman.errors import BrokerError
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.plan import run_plan_async
from ferryman.policy import QueuePolicy
from ferryman.sweep import DISCARDABLE_STATES, discard_all
from ferryman_operator import finalizer, names
from ferryman_operator.backlog import CLAIM_LEASE_MS
from ferryman_operator.cluster import Cluster, ClusterError
from ferryman_operator.endpoints import Endpoints, NoEndpoint
from ferryman_operator.events import Events
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.story import NORMAL, WARNING, Told
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

#: After this time the object goes, whatever is left.
PATIENCE_S: Final = 300.0

#: It goes sooner when nobody can say where its Redis is: the Secret is gone too, and will not come back.
UNKNOWN_S: Final = 30.0

#: Between two steps.
STEP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """What one step found: tasks discarded so far, and why it is not done yet, or never will be."""

    discarded: int = 0
    awaits: str = ""  # what is left to do; "" when all is done
    belongs_to: str = ""  # the other TaskQueue that owns the queue
    nowhere: bool = False  # it is not known where Redis is


def ending(step: Step, elapsed_s: float) -> Told | None:
    """The event that ends the purge, or None when it goes on. `elapsed_s` is since the deletion."""
    if step.belongs_to:
        return Told(WARNING, "PurgeSkipped", f"the queue belongs to TaskQueue {step.belongs_to}: nothing was discarded")
    done = f"{step.discarded} tasks discarded"
    if not step.awaits:
        return Told(NORMAL, "Purged", done)
    if elapsed_s >= (UNKNOWN_S if step.nowhere else PATIENCE_S):
        return Told(WARNING, "PurgeGivenUp", f"{done}; given up after {elapsed_s:.0f} s, still left: {step.awaits}")
    return None


class Purger:
    """The purges under way."""

    def __init__(
        self, world: World, cluster: Cluster, endpoints: Endpoints, events: Events, settings: OperatorSettings
    ) -> None:
        self._world = world
        self._cluster = cluster
        self._endpoints = endpoints
        self._events = events
        self._settings = settings
        self._running: dict[str, asyncio.Task[None]] = {}
        self._done: set[str] = set()  # uids of those whose DELETED event has not come yet
        self.queues: dict[str, Tracked] = {}  # by uid; their schedulers are still needed

    def look(self, leaving: Iterable[Mapping[str, Any]]) -> None:
        """Purge what is being deleted and waits for it."""
        waiting = {body["metadata"]["uid"]: body for body in leaving if finalizer.is_on(body)}
        for uid in [uid for uid, task in self._running.items() if task.done()]:
            if self._running[uid].cancelled() or (error := self._running[uid].exception()) is None:
                self._done.add(uid)
            else:
                logger.error("a purge failed, and begins anew", exc_info=error)
            del self._running[uid], self.queues[uid]
        self._done &= waiting.keys()
        for uid, body in waiting.items():
            if uid not in self._running and uid not in self._done:
                self.queues[uid] = Tracked.of(body)
                self._running[uid] = asyncio.create_task(self._purge(self.queues[uid]))

    async def close(self) -> None:
        """Stop; the next operator goes on."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _purge(self, tracked: Tracked) -> None:
        since_s = datetime.fromisoformat(tracked.body["metadata"]["deletionTimestamp"]).timestamp()
        link: Link | None = None
        discarded = 0
        try:
            while True:
                step, link = await self._step(tracked, link, discarded)
                discarded = step.discarded
                if told := ending(step, time.time() - since_s):
                    break
                logger.info("purging %s/%s: %s", tracked.namespace, tracked.name, step.awaits)
                await asyncio.sleep(STEP_S)
            if link and not step.belongs_to:
                await self._let_go(tracked, link)
            await self._events.post(tracked, told)
            await self._release(tracked)
        finally:
            if link:
                await link.close()

    async def _step(self, tracked: Tracked, link: Link | None, discarded: int) -> tuple[Step, Link | None]:
        if tracked.spec is None:
            return Step(discarded, f"what cannot be read ({tracked.invalid})", nowhere=True), link
        try:
            await self._end_workers(tracked)
        except ClusterError as error:
            return Step(discarded, f"its workers ({error})"), link
        if link is None:
            url = await self._endpoints.resolve(tracked.namespace, tracked.spec.redis)
            if isinstance(url, NoEndpoint):
                return Step(discarded, f"all tasks ({url.message})", nowhere=True), None
            try:
                timeout_s = self._settings.redis_timeout_s
                link = Link.from_url(url, client_name="ferryman-operator", reply_timeout_s=timeout_s)
            except ValueError as error:
                return Step(discarded, f"all tasks (spec.redis: {error})", nowhere=True), None
        try:
            return await self._discard(tracked, link, discarded), link
        except (BrokerError, OSError, TimeoutError) as error:
            return Step(discarded, f"tasks in Redis ({error})"), link

    async def _end_workers(self, tracked: Tracked) -> None:
        """They take nothing new, have their grace, and give back what they still hold."""
        live = self._world.get(Kind.DEPLOYMENT, tracked.namespace, names.worker_deployment(tracked.name))
        if live and "deletionTimestamp" not in live["metadata"]:
            metadata = live["metadata"]
            await self._cluster.delete(Kind.DEPLOYMENT, tracked.namespace, metadata["name"], metadata["uid"])

    async def _discard(self, tracked: Tracked, link: Link, discarded: int) -> Step:
        assert tracked.spec
        queue, policy = tracked.spec.queue, QueuePolicy(tracked.spec.queue)
        claim = await link.run(policy.claim(tracked.claim(self._settings.cluster_name), CLAIM_LEASE_MS))
        if not claim.granted:
            return Step(discarded, "all tasks", belongs_to=claim.owner or "another")
        await link.run(policy.hold(True))
        kept = 0
        until_s = time.monotonic() + CLAIM_LEASE_MS / 3000  # then the claim is renewed
        for state in DISCARDABLE_STATES:
            swept = await run_plan_async(link, discard_all(queue, state, lambda _: time.monotonic() < until_s))
            discarded += swept.moved if state.value != "completed" else 0
            kept += swept.left
        stats = await link.run(Inspector(queue).stats())
        return Step(discarded, _left(stats, kept))

    async def _let_go(self, tracked: Tracked, link: Link) -> None:
        """Leave no hold and no claim behind for a successor."""
        assert tracked.spec
        policy = QueuePolicy(tracked.spec.queue)
        try:
            await link.run_all([policy.hold(False), policy.release(tracked.uid)])
        except (BrokerError, OSError, TimeoutError) as error:
            logger.warning("the hold of %s/%s stays: %s", tracked.namespace, tracked.name, error)

    async def _release(self, tracked: Tracked) -> None:
        """Take the finalizer off; the world has the newest version."""
        while True:
            body = self._world.get(Kind.TASK_QUEUE, tracked.namespace, tracked.name)
            if body is None or body["metadata"]["uid"] != tracked.uid or not finalizer.is_on(body):
                return
            if await finalizer.put(body, self._cluster, on=False):
                return
            await asyncio.sleep(STEP_S)


def _left(stats: QueueStats, kept: int) -> str:
    found = {
        "waiting": stats.waiting,
        "delayed": stats.delayed,
        "blocked": stats.blocked,
        "dead": stats.dead,
        "running": stats.active,
        "kept statuses": kept,
        "workers": stats.workers,
    }
    return ", ".join(f"{count} {name}" for name, count in found.items() if count)
