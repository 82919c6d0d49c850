"""Kills: everything that a crash test does to a running system, one small class each.

A kill is planned by its `plan` (name, how long it lasts), done by `strike`, and recorded as a Strike: whose executions
may have been interrupted, and when. Those of processes are here, those of connections in link_kills.py. A new kind of
fault is a line in kinds.py, a class, and its place in KILLS.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Final

from ferryman.crashtest import kinds
from ferryman.crashtest.api_kill import ApiKill
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.link_kills import LINK_KILLS
from ferryman.crashtest.oom_kill import OomKill
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.stage import BEYOND_TIMEOUT_MS, Kill, Stage
from ferryman.crashtest.strike import FENCED_WITHIN_MS, GRACE_MS, Strike, ends_every_promise

#: Between the two signals to a worker that is not to wait for its tasks.
_HURRIES_AFTER_S: Final = 0.02


class SigKill:
    """The worker process dies; the next one runs in the same container."""

    name = kinds.SIGKILL
    _new_pod = False

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        worker = stage.workers[order.victim]
        process = await worker.process()
        worker.expect_end(new_pod=self._new_pod)
        at_ms = now_ms()
        worker.send(signal.SIGKILL, group=self._new_pod)
        return Strike(order.number, self.name, process, at_ms, await worker.ended(process), hits=process)


class PodGone(SigKill):
    """The pod is gone, and another one takes its place: only the missed heartbeats tell."""

    name = kinds.POD_GONE
    _new_pod = True


class SigTerm:
    """The worker is told to end, and has its grace."""

    name = kinds.SIGTERM
    _hurries = False

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        worker = stage.workers[order.victim]
        process = await worker.process()
        worker.expect_end(new_pod=True)
        at_ms = now_ms()
        worker.send(signal.SIGTERM)
        stops_at_ms = at_ms + GRACE_MS
        if self._hurries:
            await asyncio.sleep(_HURRIES_AFTER_S)
            stops_at_ms = now_ms()
            worker.send(signal.SIGTERM, only=process)
        return Strike(
            order.number,
            self.name,
            process,
            at_ms,
            await worker.ended(process),
            hits=process,
            gently=True,
            stops_at_ms=stops_at_ms,
            stops_first=True,
        )


class SigTermTwice(SigTerm):
    """The second signal does not wait for running tasks: they are stopped and go back."""

    name = kinds.SIGTERM_TWICE
    _hurries = True


class Pause:
    """The worker and its beat child stand still for longer than the heartbeat timeout, and wake up fenced."""

    name = kinds.PAUSE

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        shortest, longest = (worker_timeout_ms + beyond for beyond in BEYOND_TIMEOUT_MS)
        return KindOfKill(self.name, hits_worker=True, shortest_ms=shortest, longest_ms=longest, idles=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        worker = stage.workers[order.victim]
        process = await worker.process()
        at_ms = now_ms()
        worker.send(signal.SIGSTOP, group=True)
        try:
            await asyncio.sleep(order.lasts_ms / 1_000)
        finally:
            worker.send(signal.SIGCONT, group=True)
        return Strike(order.number, self.name, process, at_ms, now_ms() + FENCED_WITHIN_MS, hits=process)


class SchedulerKill:
    """Nobody promotes or recovers for a moment. Explains no repeated execution."""

    name = kinds.SCHEDULER

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=False, shortest_ms=0, longest_ms=3_000)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        scheduler = stage.scheduler(order)
        async with scheduler.turn:
            process = await scheduler.process()
            scheduler.expect_end(absent_s=order.lasts_ms / 1_000)
            at_ms = now_ms()
            scheduler.send(signal.SIGKILL)
            return Strike(order.number, self.name, process, at_ms, await scheduler.ended(process))


class RedisKill:
    """Redis dies and comes back, from its append-only file or as the promoted replica."""

    name = kinds.REDIS

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=False, shortest_ms=200, longest_ms=2_000)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        redis = stage.redis
        at_ms = await redis.fail(order.lasts_ms / 1_000)
        back_ms = now_ms()
        all_stopped = ends_every_promise(back_ms - at_ms, stage.worker_timeout_ms)
        return Strike(
            order.number,
            self.name,
            self.name,
            at_ms,
            back_ms + FENCED_WITHIN_MS if all_stopped else back_ms,
            hits="*" if all_stopped else "",
            is_outage=True,
            forgets_ms=redis.forgets_ms,
            back_ms=back_ms,
        )


_ALL: Final[tuple[Kill, ...]] = (
    SigKill(),
    PodGone(),
    SigTerm(),
    SigTermTwice(),
    Pause(),
    OomKill(),
    SchedulerKill(),
    ApiKill(),
    *LINK_KILLS,
    RedisKill(),
)

#: Every kind by its name.
KILLS: Final[Mapping[str, Kill]] = {kill.name: kill for kill in _ALL}
