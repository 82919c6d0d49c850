"""Ferryman's side: its own measuring, deciding and draining code, on a simulated queue. One pass a second."""

from __future__ import annotations

from ferryman_operator import autoscaler, drain, rates
from ferryman_operator.autoscaler import Decision, Memory
from ferryman_operator.backlog import Reading
from ferryman_operator.pods import Pod as ObservedPod
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

from ferryman.inspector import QueueStats
from ferryman.workers import WorkerRow
from scaling_simulator.fleet import Fleet, Pod

#: The operator's default.
POLL_S = 1.0

FAR_MS = 10**12

DEFAULTS = Scaling(
    mode=ScalingMode.OPERATOR,
    min_replicas=0,
    max_replicas=20,
    target_latency_s=5.0,
    cooldown_s=60.0,
    replicas=None,
)


class Ferryman:
    """The operator, as far as the number of workers goes."""

    def __init__(self, scaling: Scaling = DEFAULTS, service_s: float | None = None) -> None:
        """`service_s` is the mean run of the queue's life so far; None when it has never run a task."""
        self.scaling = scaling
        self.decisions: list[tuple[float, Decision]] = []
        self._life = (100, round(service_s * 100_000)) if service_s else (0, 0)  # runs and their ms
        self._rates: rates.Rates | None = None
        self._memory: Memory | None = None
        self._next_s = 0.0

    def turn(self, fleet: Fleet) -> None:
        """A pass, when one is due."""
        if fleet.now_s < self._next_s:
            return
        self._next_s += POLL_S
        reading = self._reading(fleet)
        memory_s = rates.arrival_memory_s(self.scaling.target_latency_s, self.scaling.cooldown_s)
        self._rates = rates.updated(self._rates, reading.counters(), memory_s)
        decision = autoscaler.decide(
            self.scaling,
            fleet.concurrency,
            reading.demand(self._rates),
            current=fleet.replicas,
            settled=all(pod.is_ready(fleet.now_s) for pod in fleet.pods),
            hold=StopPolicy.NONE,
            memory=self._memory,
            now_s=fleet.now_s,
        )
        self._memory = decision.memory
        self.decisions.append((fleet.now_s, decision))
        if decision.wanted < fleet.replicas or any(pod.draining_since_s is not None for pod in fleet.pods):
            self._carry_out(fleet, reading, decision.wanted)
        else:
            fleet.scale(decision.wanted)

    def _carry_out(self, fleet: Fleet, reading: Reading, wanted: int) -> None:
        seen = drain.Fleet(
            replicas=fleet.replicas,
            rolled_out=True,
            pods=[_observed(pod, fleet.now_s) for pod in fleet.pods],
            workers=reading.workers,
            now_ms=reading.stats.now_ms,
            now_s=fleet.now_s,
        )
        plan = drain.plan(seen, wanted)
        by_worker = {_worker_id(pod): pod for pod in fleet.pods}
        for worker in plan.drain:
            fleet.drain(by_worker[worker])
        for worker in plan.resume:
            fleet.resume(by_worker[worker])
        fleet.scale(plan.replicas)

    def _reading(self, fleet: Fleet) -> Reading:
        runs, run_ms = self._life[0] + fleet.runs, self._life[1] + fleet.run_ms
        now_ms = round(fleet.now_s * 1000)
        workers = [_row(pod, fleet.concurrency, now_ms) for pod in fleet.pods if fleet.now_s >= pod.ready_s]
        waiting, active = len(fleet.waiting), fleet.active
        stats = QueueStats(
            queue="q",
            waiting=waiting,
            active=active,
            delayed=0,
            blocked=0,
            dead=0,
            completed=runs,
            failed=0,
            retried=0,
            recovered=0,
            discarded=0,
            enqueued=runs + waiting + active,
            workers=len(workers),
            parked=0,
            oldest_waiting_s=fleet.oldest_waiting_s,
            unaccounted=0,
            hold=False,
            due_soon=0,
            next_due_ms=None,
            run_ms_total=run_ms,
            unspent=0,
            orphaned=0,
            policy_missing=False,
            now_ms=now_ms,
        )
        return Reading(stats, workers, None, fleet.now_s)


def _worker_id(pod: Pod) -> str:
    return f"{pod.number}.worker.1"


def _row(pod: Pod, concurrency: int, now_ms: int) -> WorkerRow:
    draining = pod.draining_since_s is not None
    active = len(pod.running)
    return WorkerRow(_worker_id(pod), now_ms + FAR_MS, active, "", concurrency, draining, 0, "", "", 15_000, FAR_MS)


def _observed(pod: Pod, now_s: float) -> ObservedPod:
    return ObservedPod(
        namespace="ns",
        name=f"q-worker-{pod.number}",
        uid=str(pod.number),
        instance="q",
        version=1,
        created_s=pod.created_s,
        phase="Running",
        ready=pod.is_ready(now_s),
        terminating=False,
        disrupted=False,
        scheduled=True,
        running=now_s >= pod.ready_s,
        reachable=True,
        ended=False,
        trouble="",
        exits=(),
    )
