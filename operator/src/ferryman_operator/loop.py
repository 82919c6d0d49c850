"""Loop: the operator's heart. Once a second it starts a pass for each Redis whose last pass has ended.

So a slow Redis delays only its own queues. From time to time it lists everything anew, in case a watch has missed
something or died.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.policy import QueuePolicy
from ferryman.timetable import Timetable
from ferryman_operator import finalizer
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.children import Children
from ferryman_operator.cluster import Cluster, ClusterError, Forbidden, NotFound
from ferryman_operator.endpoints import Endpoints, NoEndpoint
from ferryman_operator.lease import Leadership
from ferryman_operator.metrics import Metrics
from ferryman_operator.purger import Purger
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.spec import RedisRef
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

logger = logging.getLogger(__name__)

#: A pass that takes longer than this is given up; the next one starts anew.
PASS_TIMEOUT_S: Final = 60.0

#: How long a tick waits for the claims of TaskQueues that are gone; a slow Redis must not delay other queues.
RELEASE_PATIENCE_S: Final = 0.5

#: How long a tick waits for Secrets; a slow API server must not delay queues whose Redis is known.
READ_PATIENCE_S: Final = 0.5

#: How often everything is listed while a permission to list is missing.
BLIND_RESYNC_S: Final = 10.0

#: How often the loop looks for PodMonitors and for schedulers that nobody needs.
TIDY_EVERY_S: Final = 30.0


class DeadWatch(Exception):
    """A watch brings nothing any more: only a new process gets a new one for sure."""

    def __init__(self, watches: Sequence[str]) -> None:
        super().__init__(
            f"the watch of {' and of '.join(watches)} is dead, or the right to watch is missing: starting anew"
        )


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
        leadership: Leadership,
    ) -> None:
        self.tracked = tracked
        self._leadership = leadership
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
        self._purger = Purger(world, cluster, endpoints, reporter.events, settings)
        self._reads: dict[tuple[str, RedisRef], asyncio.Task[str | NoEndpoint]] = {}
        self.finished_s = time.monotonic()  # when a pass, or a tick without queues, last ended

    async def run(self) -> None:
        """Run until cancelled. Raises DeadWatch."""
        while True:
            started_s = time.monotonic()
            try:
                await self._turn(started_s)
            except DeadWatch:
                raise
            except Exception:
                # The next turn begins anew; if none succeeds any more, /livez tells.
                logger.exception("a turn of the loop failed")
            await self._world.alarm.rest(max(0.05, self._settings.poll_s - (time.monotonic() - started_s)))

    async def close(self) -> None:
        """Stop the passes and close the links."""
        running: list[asyncio.Task[Any]] = [*self._passes.values(), *self._departures, *self._reads.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, self._purger.close(), self._redis_pass.close(), return_exceptions=True)
        for link in self._links.values():
            await link.close()

    async def _turn(self, now_s: float) -> None:
        wait_s = BLIND_RESYNC_S if self._world.unseen else self._settings.resync_s
        if now_s - self._resynced_s >= wait_s and await self._resync(now_s):
            self._resynced_s = now_s
        if self._resynced_s == float("-inf"):
            return  # nothing is known yet, so nothing can be missing
        if dead := self._world.watches.dead(now_s, self._settings.watch_patience_s):
            raise DeadWatch(dead)
        self._metrics.leads(self._leadership.leads)
        if self._leadership.stands_by:
            await self._rest()
            return
        await self._tick()
        if now_s - self._tidied_s >= TIDY_EVERY_S:
            self._tidied_s = now_s
            await self._tidy()

    async def _rest(self) -> None:
        """Another operator is at work: what is under way here ends, and what is remembered gets old."""
        for task in self._passes.values():
            task.cancel()
        await asyncio.gather(*self._passes.values(), return_exceptions=True)
        self._passes.clear()
        self.tracked.clear()
        self._finished()

    async def _tick(self) -> None:
        self._track()
        if self._departures:  # a claim that is given up now can be granted to a successor in this very tick
            await asyncio.wait(self._departures, timeout=RELEASE_PATIENCE_S)
        ready: defaultdict[str, list[Tracked]] = defaultdict(list)
        nowhere: dict[str, NoEndpoint] = {}
        idle = [
            one for one in self.tracked.values() if not (one.in_pass or self._leadership.is_anothers(one.namespace))
        ]
        await self._read_endpoints(idle)
        for tracked in idle:
            if (endpoint := self._endpoint(tracked)) is None:
                continue  # the API server is slow; others need not wait for that
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
        self._redis_pass.schedules.report_unpublished(self.tracked.values())
        if not self.tracked:
            self._finished()

    def _endpoint(self, tracked: Tracked) -> str | NoEndpoint | None:
        if tracked.spec is None:
            return NoEndpoint("InvalidSpec", tracked.invalid)
        return self._endpoints.known(tracked.namespace, tracked.spec.redis)

    async def _read_endpoints(self, queues: Sequence[Tracked]) -> None:
        """Read the Secrets that must be read, and wait for them a little."""
        for tracked in queues:
            if tracked.spec and self._endpoint(tracked) is None:
                key = (tracked.namespace, tracked.spec.redis)
                if key not in self._reads:
                    self._reads[key] = asyncio.create_task(self._endpoints.resolve(*key))
        if self._reads:
            await asyncio.wait(self._reads.values(), timeout=READ_PATIENCE_S)
        for key in [key for key, task in self._reads.items() if task.done()]:
            del self._reads[key]

    async def _pass(self, key: str, nowhere: NoEndpoint | None, queues: list[Tracked]) -> None:
        started_s = time.monotonic()
        epochs = {one.namespace: self._leadership.epoch(one.namespace) for one in queues}
        for tracked in queues:
            tracked.in_pass = True
        try:
            link = Unmeasured(nowhere.reason, nowhere.message) if nowhere else self._link(key)
            async with asyncio.timeout(PASS_TIMEOUT_S):
                await self._redis_pass.run(link, queues, lambda: self._same(epochs))
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

    def _same(self, epochs: Mapping[str, int | None]) -> bool:
        """Whether nobody else can have been at work since."""
        return all(epoch is not None and self._leadership.epoch(one) == epoch for one, epoch in epochs.items())

    def _link(self, url: str) -> Link | Unmeasured:
        if url not in self._links:
            try:
                self._links[url] = Link.from_url(
                    url, client_name="ferryman-operator", reply_timeout_s=self._settings.redis_timeout_s
                )
                self._links[url].watch = self._metrics.round_trip
            except ValueError as error:
                return Unmeasured("InvalidURL", f"spec.redis: {error}")
        return self._links[url]

    def _finished(self) -> None:
        if self._leadership.is_refused:
            return  # it will never lead, and /livez must tell
        self.finished_s = time.monotonic()
        self._metrics.finished()

    def _track(self) -> None:
        """Bring the tracked queues in line with the TaskQueues that exist."""
        bodies = self._world.all(Kind.TASK_QUEUE)
        # What is being deleted is left alone: making its children anew would fight the garbage collector.
        leaving = [body for body in bodies if "deletionTimestamp" in body["metadata"]]
        living = {body["metadata"]["uid"]: body for body in bodies if "deletionTimestamp" not in body["metadata"]}
        for uid in [uid for uid in self.tracked if uid not in living]:
            self._depart(self.tracked.pop(uid))
        self._purger.look(leaving)
        for uid, body in living.items():
            known, epoch = self.tracked.get(uid), self._leadership.epoch(body["metadata"]["namespace"])
            if known is None or (known.epoch is not None and epoch not in (None, known.epoch)):
                # New, or another operator was at work in between: what is remembered is outdated.
                self.tracked[uid] = known = Tracked.of(body)
            else:
                known.update(body)
            known.epoch = epoch or known.epoch

    def _depart(self, tracked: Tracked) -> None:
        """A TaskQueue is gone: give its claim up, so that a successor of the same name need not wait for its end."""
        self._reporter.forget(tracked.uid)
        self._redis_pass.schedules.forget(tracked.uid)
        self._metrics.forget(tracked)
        if tracked.spec and tracked.claim_granted and not finalizer.is_on(tracked.body):
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
                queue = tracked.spec.queue  # its schedules go too: another scheduler may look after its Redis
                await link.run_all([Timetable(queue).publish([]), QueuePolicy(queue).release(tracked.uid)])
        except (BrokerError, OSError, TimeoutError) as error:
            logger.info("the claim of %s/%s ends by itself: %s", tracked.namespace, tracked.name, error)

    async def _resync(self, now_s: float) -> bool:
        """List everything. The truth when a watch has missed something; True when it worked."""
        kinds = [kind for kind in Kind if kind is not Kind.POD_MONITOR or self._children.pod_monitors]
        unseen: dict[tuple[Kind, str | None], str] = {}
        for namespace in self._settings.namespaces or (None,):
            for kind in kinds:
                try:
                    items, version = await self._cluster.list(kind, namespace)
                except Forbidden as error:
                    logger.error("%s", error)
                    if kind is not Kind.POD_MONITOR:
                        unseen[kind, namespace] = str(error)
                    continue
                except ClusterError as error:
                    logger.warning("could not list all %ss: %s", kind, error)
                    if isinstance(error, NotFound) and kind is Kind.TASK_SCHEDULE:
                        continue  # an older installation, without its definition
                    return False
                self._world.replace(kind, items, version, namespace, now_s)
        self._world.unseen = unseen
        return not any(kind is Kind.TASK_QUEUE for kind, _ in unseen)

    async def _tidy(self) -> None:
        try:
            self._children.pod_monitors = await self._cluster.has_kind(Kind.POD_MONITOR)
        except ClusterError as error:
            logger.warning("could not look for PodMonitors: %s", error)
        await self._children.remove_unowned_schedulers([*self.tracked.values(), *self._purger.queues.values()])
        await self._children.remove_unwanted_monitors()
