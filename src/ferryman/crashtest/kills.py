"""Kills: everything that a crash test does to a running system, one small class each.

A kill is planned by its `plan` (name, how long it lasts), done by `strike`, and recorded as a Strike: whose executions
may have been interrupted, and when. A new kind of fault is a new class here and a line in KINDS.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ferryman.crashtest.actor import Actor
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.redis_own import Redis
from ferryman.crashtest.verdict import Strike

#: A paused worker that runs again notices within this time that it is no longer the owner, and stops its code.
FENCED_WITHIN_MS: Final = 2_500
#: A pause is this much longer than the worker timeout.
PAUSE_BEYOND_MS: Final = (3_000, 8_000)


@dataclass(frozen=True, slots=True)
class Stage:
    """What there is to kill."""

    workers: Sequence[Actor]
    schedulers: Sequence[Actor]
    redis: Redis


class Kill(Protocol):
    """One kind. `help` says what it does, for --help."""

    name: str
    help: str

    def plan(self, worker_timeout_ms: int) -> KindOfKill: ...

    async def strike(self, stage: Stage, order: Order) -> Strike: ...


class SigKill:
    """The worker process dies; the next one runs in the same container."""

    name = "sigkill"
    help = "SIGKILL to a worker; its container restarts in place and takes over"
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

    name = "pod-gone"
    help = "SIGKILL to a worker and all its children; another pod replaces it, so only its silence tells"
    _new_pod = True


class SigTerm:
    """The worker is told to end, and has its grace."""

    name = "sigterm"
    help = "SIGTERM to a worker: it lets its tasks end, gives back the rest, and is replaced"
    _signals = 1

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        worker = stage.workers[order.victim]
        process = await worker.process()
        worker.expect_end(new_pod=True)
        at_ms = now_ms()
        worker.send(signal.SIGTERM)
        for _ in range(self._signals - 1):
            await asyncio.sleep(0.02)
            worker.send(signal.SIGTERM)
        return Strike(order.number, self.name, process, at_ms, await worker.ended(process), hits=process, gently=True)


class SigTermTwice(SigTerm):
    """The second signal does not wait for running tasks: they are stopped and go back."""

    name = "sigterm-twice"
    help = "SIGTERM twice to a worker: it stops its running tasks and gives them back too"
    _signals = 2


class Pause:
    """The worker and its beat child stand still for longer than the heartbeat timeout, and wake up fenced."""

    name = "pause"
    help = "SIGSTOP to a worker and its children for longer than --worker-timeout, then SIGCONT"

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        shortest, longest = (worker_timeout_ms + beyond for beyond in PAUSE_BEYOND_MS)
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

    name = "scheduler"
    help = "SIGKILL to the scheduler; it is back after up to 3 s"

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=False, shortest_ms=0, longest_ms=3_000)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        scheduler = stage.schedulers[order.number % len(stage.schedulers)]
        process = await scheduler.process()
        scheduler.expect_end(absent_s=order.lasts_ms / 1_000)
        at_ms = now_ms()
        scheduler.send(signal.SIGKILL)
        return Strike(order.number, self.name, process, at_ms, await scheduler.ended(process))


class RedisKill:
    """Redis dies and comes back, from its append-only file or as the promoted replica."""

    name = "redis"
    help = "with --aof-restart or --failover: SIGKILL to Redis; it is back after 0.2 to 2 s"

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        return KindOfKill(self.name, hits_worker=False, shortest_ms=200, longest_ms=2_000)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        redis = stage.redis
        at_ms = await redis.fail(order.lasts_ms / 1_000)
        return Strike(order.number, self.name, self.name, at_ms, now_ms(), is_outage=True, forgets_ms=redis.forgets_ms)


#: Every kind by its name.
KINDS: Final[Mapping[str, Kill]] = {
    kill.name: kill for kill in (SigKill(), PodGone(), SigTerm(), SigTermTwice(), Pause(), SchedulerKill(), RedisKill())
}

#: Those that need no Redis of the crash test's own.
DEFAULT_KINDS: Final = tuple(name for name in KINDS if name != RedisKill.name)
