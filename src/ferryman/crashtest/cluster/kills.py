"""Kills: everything that the crash test does to a running system on Kubernetes, one small class each.

A kill is recorded as a Blow, with the pod that was hit and when; which process that was, and when it really died,
the collector's journal tells in the end (`strikes`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.cluster import kinds
from ferryman.crashtest.cluster.clock import ClusterClock
from ferryman.crashtest.cluster.kubectl import Kubectl, KubectlFailed
from ferryman.crashtest.cluster.objects import REDIS
from ferryman.crashtest.cluster.rescuers import Rescuers
from ferryman.crashtest.cluster.strikes import Blow
from ferryman.crashtest.cluster.town import OPERATOR_LABELS, SCHEDULER_LABELS, Town, is_ready, restarts
from ferryman.crashtest.plan import Order

_FORCE: Final = ("--force", "--grace-period=0", "--wait=false")
_BACK_WITHIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.25

# PID 1 ignores a SIGKILL from inside its container, but not the kernel's OOM killer, which it is offered to here. Who
# eats the memory are many, each smaller than the worker, so that it is the worst of them all.
_OUTGROW: Final = """
import os, time
open("/proc/1/oom_score_adj", "w").write("1000")
for _ in range(200):
    if os.fork() == 0:
        hog = bytearray(b"x" * (12 << 20))
        time.sleep(30)
        os._exit(0)
    time.sleep(0.005)
print("the worker's container has no memory limit, or a high one")
"""
_DIED_WITH_IT: Final = ("exit code 137", "EOF", "reset by peer", "closed")
# The beat child is the first that the worker forks.
_KILL_BEAT_CHILD: Final = """
import os, signal
stats = [open(f"/proc/{pid}/stat").read() for pid in os.listdir("/proc") if pid.isdigit()]
own = [int(one.split()[0]) for one in stats if one.rpartition(")")[2].split()[1] == "1"]
os.kill(min(pid for pid in own if pid != os.getpid()), signal.SIGKILL)
"""
_KILL_REDIS: Final = "kill -9 $(cat /tmp/pid) && sleep 0.3; " + (
    'until [ "$(redis-cli ping 2>/dev/null)" = PONG ]; do sleep 0.05; done'
)


class NobodyToKill(Exception):
    """No pod was there to be hit; the kill is left out."""


@dataclass(slots=True)
class Stage:
    """What there is to kill. `recovered` is the queue's own count; `hit` says which worker pods were hit already."""

    kubectl: Kubectl
    town: Town
    rescuers: Rescuers
    clock: ClusterClock
    queue: str
    forgets_ms: float
    recovered: Callable[[], int]
    hit: set[str]

    async def worker(self, chance: int) -> str:
        """The name of a ready worker pod that was not hit yet; those that never restarted first."""
        give_up = asyncio.get_running_loop().time() + _BACK_WITHIN_S / 2
        while True:
            pods = [pod for pod in await self.kubectl.list("pods", self.town.workers_of(self.queue)) if is_ready(pod)]
            fresh = sorted(pod["metadata"]["name"] for pod in pods if _life(pod) not in self.hit and not restarts(pod))
            rest = sorted(pod["metadata"]["name"] for pod in pods if _life(pod) not in self.hit)
            if names := fresh or rest:
                name = str(names[chance % len(names)])
                self.hit |= {_life(pod) for pod in pods if pod["metadata"]["name"] == name}
                return name
            if asyncio.get_running_loop().time() > give_up:
                raise NobodyToKill("no worker pod was ready")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def pod(self, labels: str, kubectl: Kubectl) -> str:
        """The name of a pod that is ready."""
        for pod in await kubectl.list("pods", labels):
            if is_ready(pod):
                return str(pod["metadata"]["name"])
        raise NobodyToKill(f"no pod with {labels} was ready")


class Kill(Protocol):
    """One kind."""

    async def strike(self, stage: Stage, order: Order) -> Blow: ...


class PodDelete:
    """A worker pod is deleted."""

    _how: tuple[str, ...] = ("--wait=false",)

    async def strike(self, stage: Stage, order: Order) -> Blow:
        pod = await stage.worker(order.victim)
        from_ms = stage.clock.now_ms()
        await stage.kubectl.insist("delete", "pod", pod, *self._how)
        return Blow(order.number, order.kind, pod, from_ms, stage.clock.now_ms())


class PodForceDelete(PodDelete):
    """Nobody waits for it."""

    _how = _FORCE


class InsideWorker:
    """A small program, run in a worker's container, ends it."""

    def __init__(self, program: str) -> None:
        self._program = program

    async def strike(self, stage: Stage, order: Order) -> Blow:
        pod = await stage.worker(order.victim)
        from_ms = stage.clock.now_ms()
        try:
            await stage.kubectl.execute(pod, "worker", "python", "-c", self._program)
        except KubectlFailed as error:
            # The program dies with its container, and kubectl says so in more than one way.
            if not any(word in error.message for word in _DIED_WITH_IT):
                raise
        return Blow(order.number, order.kind, pod, from_ms, stage.clock.now_ms())


class RescuerPod:
    """The pod of the operator or of the scheduler dies; Kubernetes brings the next one."""

    def __init__(self, labels: str, *, of_operator: bool) -> None:
        self._labels = labels
        self._of_operator = of_operator

    async def strike(self, stage: Stage, order: Order) -> Blow:
        kubectl = stage.town.operator if self._of_operator else stage.kubectl
        pod = await stage.pod(self._labels, kubectl)
        from_ms = stage.clock.now_ms()
        await kubectl.insist("delete", "pod", pod, *_FORCE)
        give_up = asyncio.get_running_loop().time() + _BACK_WITHIN_S
        while not any(
            is_ready(one) for one in await kubectl.list("pods", self._labels) if one["metadata"]["name"] != pod
        ):
            if asyncio.get_running_loop().time() > give_up:
                raise CommandFailed(f"no pod took the place of {pod} within {_BACK_WITHIN_S:g} s")
            await asyncio.sleep(_LOOK_EVERY_S)
        return Blow(order.number, order.kind, pod, from_ms, stage.clock.now_ms(), rescuer=True)


class RedisKill:
    """The server process dies; the script around it starts the next one on the same files."""

    async def strike(self, stage: Stage, order: Order) -> Blow:
        from_ms = stage.clock.now_ms() - stage.clock.error_ms
        await stage.kubectl.execute(f"{REDIS}-0", "redis", "sh", "-c", _KILL_REDIS)
        to_ms = stage.clock.now_ms() + stage.clock.error_ms
        return Blow(order.number, order.kind, f"{REDIS}-0", from_ms, to_ms, outage=True, forgets_ms=stage.forgets_ms)


class RedisPodKill:
    """The pod is gone, and its successor mounts the same volume."""

    async def strike(self, stage: Stage, order: Order) -> Blow:
        pod = f"{REDIS}-0"
        before = await stage.kubectl.get("pod", pod)
        from_ms = stage.clock.now_ms() - stage.clock.error_ms
        await stage.kubectl.insist("delete", "pod", pod, *_FORCE)
        give_up = asyncio.get_running_loop().time() + 2 * _BACK_WITHIN_S
        while not await self._answers(stage, pod, before):
            if asyncio.get_running_loop().time() > give_up:
                raise CommandFailed(f"Redis was not back within {2 * _BACK_WITHIN_S:g} s after its pod was deleted")
            await asyncio.sleep(_LOOK_EVERY_S)
        to_ms = stage.clock.now_ms() + stage.clock.error_ms
        return Blow(order.number, order.kind, pod, from_ms, to_ms, outage=True, forgets_ms=stage.forgets_ms)

    async def _answers(self, stage: Stage, pod: str, before: Mapping[str, Any] | None) -> bool:
        now = await stage.kubectl.get("pod", pod)
        if now is None or (before and now["metadata"]["uid"] == before["metadata"]["uid"]) or not is_ready(now):
            return False
        try:
            return "PONG" in await stage.kubectl.execute(pod, "redis", "redis-cli", "ping")
        except KubectlFailed:
            return False


class Alone:
    """A worker pod is deleted by force while the operator, and perhaps the scheduler too, does not run."""

    def __init__(self, *, scheduler_too: bool) -> None:
        self._scheduler_too = scheduler_too

    async def strike(self, stage: Stage, order: Order) -> Blow:
        loop = asyncio.get_running_loop()
        try:
            await stage.rescuers.send_operator_away()
            if self._scheduler_too:
                await stage.rescuers.send_schedulers_away()
            before = stage.recovered()
            blow = await PodForceDelete().strike(stage, order)
            give_up = loop.time() + order.lasts_ms / 1_000
            while stage.recovered() <= before and loop.time() < give_up:  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY_S)
            await asyncio.sleep(3)  # so that what came back starts before others help
            return blow
        finally:
            await stage.rescuers.restore()


def _life(pod: Mapping[str, Any]) -> str:
    """One life of a worker's container, which is hit only once."""
    return f"{pod['metadata']['uid']}/{restarts(pod)}"


#: Who does what.
KILLS: Final[Mapping[str, Kill]] = {
    kinds.POD_DELETE: PodDelete(),
    kinds.POD_FORCE_DELETE: PodForceDelete(),
    kinds.CONTAINER_OOM: InsideWorker(_OUTGROW),
    kinds.BEAT_CHILD: InsideWorker(_KILL_BEAT_CHILD),
    kinds.OPERATOR: RescuerPod(OPERATOR_LABELS, of_operator=True),
    kinds.SCHEDULER: RescuerPod(SCHEDULER_LABELS, of_operator=False),
    kinds.REDIS: RedisKill(),
    kinds.REDIS_POD: RedisPodKill(),
    kinds.HEARTBEAT_ONLY: Alone(scheduler_too=False),
    kinds.CRONJOB_ONLY: Alone(scheduler_too=True),
}
