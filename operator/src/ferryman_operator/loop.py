"""Loop: the operator's heart. Once a second it starts a pass for each Redis whose last pass has ended.

So a slow Redis delays only its own queues. From time to time it lists everything anew, in case a watch has missed
something or died.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import Final

from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.policy import QueuePolicy
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.children import Children
from ferryman_operator.cluster import Cluster, ClusterError
from ferryman_operator.endpoints import Endpoints, NoEndpoint
from ferryman_operator.metrics import Metrics
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

#: A pass that takes longer than this is given up; the next one starts anew.
PASS_TIMEOUT_S: Final = 60.0

#: How long a tick waits for the claims of TaskQueues that are gone; a slow Redis must not delay other queues.
RELEASE_PATIENCE_S: Final = 0.5

#: How often the loop looks for PodMonitors and for schedulers that nobody needs.
TIDY_EVERY_S: Final = 30.0


class Loop:
    """Runs the passes."""

    def __init__(
        self,
        tracked: dict[str, Tracked],
        world: World,
        cluster: Cluster,
        children: Children,
        reporter: Reporter,
        endpoints: Endpoints,
        redis_pass: RedisPass,
        metrics: Metrics,
        settings: OperatorSettings,
    ) -> None:
        self.tracked = tracked
        self._world = world
        self._cluster = cluster
        self._children = children
        self._reporter = reporter
        self._endpoints = endpoints
        self._redis_pass = redis_pass
        self._metrics = metrics
        self._settings = settings
        self._links: dict[str, Link] = {}
        self._passes: dict[str, asyncio.Task[None]] = {}
        self._resynced_s = self._tidied_s = float("-inf")
        self._departures: set[asyncio.Task[None]] = set()
        self.finished_s = time.monotonic()  # when a pass, or a tick without queues, last ended

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            started_s = time.monotonic()
            try:
                await self._turn(started_s)
            except Exception:
                # The next turn begins anew; if none succeeds any more, /livez tells.
                logger.exception("a turn of the loop failed")
            await asyncio.sleep(max(0.05, self._settings.poll_s - (time.monotonic() - started_s)))

    async def close(self) -> None:
        """Stop the passes and close the links."""
        running = [*self._passes.values(), *self._departures]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for link in self._links.values():
            await link.close()

    async def _turn(self, now_s: float) -> None:
        if now_s - self._resynced_s >= self._settings.resync_s and await self._resync():
            self._resynced_s = now_s
        if self._resynced_s == float("-inf"):
            return  # nothing is known yet, so nothing can be missing
        await self._tick()
        if now_s - self._tidied_s >= TIDY_EVERY_S:
            self._tidied_s = now_s
            await self._tidy()

    async def _tick(self) -> None:
        self._track()
        if self._departures:  # a claim that is given up now can be granted to a successor in this very tick
            await asyncio.wait(self._departures, timeout=RELEASE_PATIENCE_S)
        ready: defaultdict[str, list[Tracked]] = defaultdict(list)
        nowhere: dict[str, NoEndpoint] = {}
        idle = [tracked for tracked in self.tracked.values() if not tracked.in_pass]
        found = await asyncio.gather(*(self._endpoint(tracked) for tracked in idle))
        for tracked, endpoint in zip(idle, found, strict=True):
            if isinstance(endpoint, NoEndpoint):
                nowhere[tracked.uid] = endpoint
            ready[tracked.uid if isinstance(endpoint, NoEndpoint) else endpoint].append(tracked)
        for key, queues in ready.items():
            if (previous := self._passes.get(key)) is None or previous.done():
                self._passes[key] = asyncio.create_task(self._pass(key, nowhere.get(key), queues))
        for key in [key for key, task in self._passes.items() if key not in ready and task.done()]:
            del self._passes[key]
            if link := self._links.pop(key, None):
                await link.close()
        if not self.tracked:
            self._finished()

    async def _endpoint(self, tracked: Tracked) -> str | NoEndpoint:
        if tracked.spec is None:
            return NoEndpoint("InvalidSpec", tracked.invalid)
        return await self._endpoints.resolve(tracked.namespace, tracked.spec.redis)

    async def _pass(self, key: str, nowhere: NoEndpoint | None, queues: list[Tracked]) -> None:
        started_s = time.monotonic()
        for tracked in queues:
            tracked.in_pass = True
        try:
            link = Unmeasured(nowhere.reason, nowhere.message) if nowhere else self._link(key)
            async with asyncio.timeout(PASS_TIMEOUT_S):
                await self._redis_pass.run(link, queues)
        except Exception:
            logger.exception("a pass over %s failed", ", ".join(f"{one.namespace}/{one.name}" for one in queues))
        finally:
            for tracked in queues:
                tracked.in_pass = False
        self._metrics.observe_pass(time.monotonic() - started_s)
        for tracked in queues:
            if tracked.decision:
                self._metrics.count_decision(tracked)
        self._finished()

    def _link(self, url: str) -> Link | Unmeasured:
        if url not in self._links:
            try:
                self._links[url] = Link.from_url(
                    url, client_name="ferryman-operator", reply_timeout_s=self._settings.redis_timeout_s
                )
            except ValueError as error:
                return Unmeasured("InvalidURL", f"spec.redis: {error}")
        return self._links[url]

    def _finished(self) -> None:
        self.finished_s = time.monotonic()
        self._metrics.finished()

    def _track(self) -> None:
        """Bring the tracked queues in line with the TaskQueues that exist."""
        living = {
            body["metadata"]["uid"]: body
            for body in self._world.all(Kind.TASK_QUEUE)
            # What is being deleted is left alone: making its children anew would fight the garbage collector.
            if "deletionTimestamp" not in body["metadata"]
        }
        for uid in [uid for uid in self.tracked if uid not in living]:
            self._depart(self.tracked.pop(uid))
        for uid, body in living.items():
            if uid in self.tracked:
                self.tracked[uid].update(body)
            else:
                self.tracked[uid] = Tracked.of(body)

    def _depart(self, tracked: Tracked) -> None:
        """A TaskQueue is gone: give its claim up, so that a successor of the same name need not wait for its end."""
        self._reporter.forget(tracked.uid)
        self._metrics.forget(tracked)
        if tracked.spec and tracked.claim_granted:
            task = asyncio.create_task(self._release(tracked))
            self._departures.add(task)
            task.add_done_callback(self._departures.discard)

    async def _release(self, tracked: Tracked) -> None:
        assert tracked.spec
        endpoint = await self._endpoints.resolve(tracked.namespace, tracked.spec.redis)
        if isinstance(endpoint, NoEndpoint):
            return
        link = self._link(endpoint)
        if isinstance(link, Unmeasured):
            return
        try:
            async with asyncio.timeout(self._settings.redis_timeout_s):
                await link.run(QueuePolicy(tracked.spec.queue).release(tracked.uid))
        except (BrokerError, OSError, TimeoutError) as error:
            logger.info("the claim of %s/%s ends by itself: %s", tracked.namespace, tracked.name, error)

    async def _resync(self) -> bool:
        """List everything. The truth when a watch has missed something; True when it worked."""
        kinds = [kind for kind in Kind if kind is not Kind.POD_MONITOR or self._children.pod_monitors]
        try:
            for namespace in self._settings.namespaces or (None,):
                for kind in kinds:
                    items, version = await self._cluster.list(kind, namespace)
                    self._world.replace(kind, items, version, namespace)
        except ClusterError as error:
            logger.warning("could not list the cluster's objects: %s", error)
            return False
        return True

    async def _tidy(self) -> None:
        try:
            self._children.pod_monitors = await self._cluster.has_kind(Kind.POD_MONITOR)
        except ClusterError as error:
            logger.warning("could not look for PodMonitors: %s", error)
        await self._children.remove_unowned_schedulers(list(self.tracked.values()))
