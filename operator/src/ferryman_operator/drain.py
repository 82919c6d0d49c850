"""Drain: turns "fewer workers" into steps that interrupt nobody. Pure.

Kubernetes chooses which pods of a ReplicaSet go, and takes pods that are not ready before all others. So a worker
is drained first (a lease in Redis: it finishes, takes nothing new, and its pod turns NotReady), and replicas are
lowered by exactly the number of pods that are drained, idle and NotReady. A lease that is not renewed ends, so
workers resume by themselves when the operator dies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ferryman_operator.pod_truth import pod_uid
from ferryman_operator.pods import Pod

#: A pod that is not ready and has no worker after this time is broken rather than starting: it may go undrained.
STARTING_S: Final = 60.0


class Worker(Protocol):
    """What is needed of a registered worker (ferryman.workers.WorkerRow)."""

    @property
    def id(self) -> str:
        """`<pod uid>.<container>.<nonce>`."""

    @property
    def deadline_ms(self) -> int:
        """When it must have beaten again, on Redis' clock."""

    @property
    def active(self) -> int:
        """Tasks that it holds."""

    @property
    def draining(self) -> bool:
        """Whether it takes nothing new."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The workers of a queue as they are. `now_ms` is Redis' clock, `now_s` this machine's."""

    replicas: int
    rolled_out: bool  # no rollout is under way, and the ReplicaSet has as many pods as it should
    pods: Sequence[Pod]
    workers: Sequence[Worker]
    now_ms: int
    now_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step: replicas to set now, workers to tell to drain, workers to let go on, and what is awaited."""

    replicas: int
    drain: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    awaits: str = ""


def plan(fleet: Fleet, wanted: int) -> Plan:
    """The next step towards `wanted` replicas."""
    pods = [pod for pod in fleet.pods if pod.counts]
    at_work = _by_pod(fleet, pods)
    draining = [worker.id for workers in at_work.values() for worker in workers if worker.draining]
    if wanted >= fleet.replicas:
        return Plan(wanted, resume=tuple(draining))
    if wanted == 0:
        return _remove_all(fleet, at_work)
    if not fleet.rolled_out or len(pods) != fleet.replicas:
        return Plan(fleet.replicas, resume=tuple(draining), awaits="the rollout of the workers")
    return _remove_some(fleet, wanted, pods, at_work)


def _remove_all(fleet: Fleet, at_work: dict[str, list[Worker]]) -> Plan:
    """All go, so it does not matter which Kubernetes takes first: idle and fenced by the drain is enough."""
    workers = [worker for workers in at_work.values() for worker in workers]
    if all(_is_idle(worker) for worker in workers):
        return Plan(0)
    busy = sum(1 for worker in workers if not _is_idle(worker))
    return Plan(fleet.replicas, drain=tuple(worker.id for worker in workers), awaits=f"{busy} workers to drain")


def _remove_some(fleet: Fleet, wanted: int, pods: list[Pod], at_work: dict[str, list[Worker]]) -> Plan:
    surplus = fleet.replicas - wanted
    chosen = sorted(pods, key=lambda pod: _reluctance(pod, at_work.get(pod.uid, [])))[:surplus]
    # The idle go before a busy one is even told to drain: it may turn NotReady at once, and then nobody could go.
    chosen = [pod for pod in chosen if not _holds(at_work.get(pod.uid, []))] or chosen
    chosen_uids = {pod.uid for pod in chosen}
    ready_to_go = [pod for pod in pods if _may_go(pod, at_work.get(pod.uid, []), fleet.now_s)]
    drain = tuple(worker.id for pod in chosen for worker in at_work.get(pod.uid, []))
    resume = tuple(
        worker.id for uid, workers in at_work.items() if uid not in chosen_uids for worker in workers if worker.draining
    )
    # Kubernetes would take any NotReady pod, so there must be none that is not meant to go.
    others = [pod.name for pod in pods if not pod.ready and pod not in ready_to_go]
    lower_by = 0 if others else min(surplus, sum(1 for pod in ready_to_go if pod.uid in chosen_uids))
    awaits = ""
    if lower_by < surplus:
        awaits = f"{', '.join(others)} to be ready or drained" if others else f"{surplus - lower_by} workers to drain"
    return Plan(fleet.replicas - lower_by, drain, resume, awaits)


def _by_pod(fleet: Fleet, pods: list[Pod]) -> dict[str, list[Worker]]:
    """Registered workers by pod uid. One that fell silent and holds nothing stands in nobody's way."""
    uids = {pod.uid for pod in pods}
    at_work: dict[str, list[Worker]] = {}
    for worker in fleet.workers:
        uid = pod_uid(worker.id)
        if uid in uids and (worker.active or worker.deadline_ms > fleet.now_ms):
            at_work.setdefault(uid, []).append(worker)
    return at_work


def _is_idle(worker: Worker) -> bool:
    """Drained and empty. The drain is checked by the fetch script, so an empty list stays empty."""
    return worker.draining and worker.active == 0


def _may_go(pod: Pod, workers: list[Worker], now_s: float) -> bool:
    if pod.ready:
        return False
    if not workers:
        return now_s - pod.created_s > STARTING_S
    return all(_is_idle(worker) for worker in workers)


def _holds(workers: list[Worker]) -> int:
    return sum(worker.active for worker in workers)


def _reluctance(pod: Pod, workers: list[Worker]) -> tuple[bool, bool, bool, int, float]:
    """Who goes first: the idle, of them those on their way out and those without a worker; then the least busy."""
    held = _holds(workers)
    leaving = bool(workers) and all(worker.draining for worker in workers)
    empty = not workers and not pod.ready
    return (held > 0, not leaving, not empty, held, -pod.created_s)
