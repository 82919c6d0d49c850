"""Steering: from one measurement of one queue to what is to be done about it. The DECIDE of the loop.

Reads the world and the measurement, writes nothing but the memory of the tracked queue; the calls to Redis are
returned, to be sent together with those of all queues of the same Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ferryman.call import Call
from ferryman.policy import QueuePolicy
from ferryman.workers import WorkerRegistry
from ferryman_operator import autoscaler, drain, interruptions, names, pod_truth, rates
from ferryman_operator.backlog import Reading
from ferryman_operator.policy import behind, policy_fields
from ferryman_operator.spec import StopPolicy, TaskQueueSpec
from ferryman_operator.story import WARNING, Told
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

#: How long a drain and a vouch last when they are not renewed; they are renewed every pass.
LEASE_MS: Final = 15_000

#: How the reason of a worker ends that ended as it was told to; see pods.py.
_ENDED_WELL: Final = ", exit code 0"


@dataclass(slots=True)
class Orders:
    """Calls to Redis, each with what to note down when it has succeeded."""

    calls: list[tuple[Call[Any], Callable[[], None]]] = field(default_factory=list)

    def add(self, call: Call[Any], done: Callable[[], None] = lambda: None) -> None:
        """Send `call`."""
        self.calls.append((call, done))


def replicas_of(deployment: Mapping[str, Any] | None) -> int:
    """The replicas that a Deployment asks for; 0 when there is none."""
    return int(deployment["spec"].get("replicas", 1)) if deployment else 0


def steer(tracked: Tracked, spec: TaskQueueSpec, world: World, *, now_s: float, wall_s: float) -> Orders:
    """Decide the workers of one queue and plan the next step; `now_s` is monotonic, `wall_s` epoch."""
    deployment = world.get(Kind.DEPLOYMENT, spec.namespace, names.worker_deployment(spec.name))
    current = replicas_of(deployment)
    reading = tracked.reading if isinstance(tracked.reading, Reading) else None
    if reading:
        memory_s = rates.arrival_memory_s(spec.scaling.target_latency_s, spec.scaling.cooldown_s)
        tracked.rates = rates.updated(tracked.rates, reading.counters(), memory_s)
    hold = spec.stop_policy
    if hold is StopPolicy.NONE and reading and reading.stats.hold:
        hold = StopPolicy.HOLD
    decision = autoscaler.decide(
        spec.scaling,
        spec.worker.concurrency,
        reading.demand(tracked.rates) if reading and tracked.rates else None,
        current=current,
        settled=_ready(deployment) >= current,
        hold=hold,
        memory=tracked.memory,
        now_s=now_s,
        pause=tracked.pause,
    )
    tracked.decision, tracked.memory = decision, decision.memory
    orders = Orders()
    if reading is None:
        # Nobody can be drained, so nobody may go; what must grow may grow.
        tracked.plan = drain.Plan(max(decision.wanted, current))
        return orders
    fleet = drain.Fleet(
        replicas=current,
        rolled_out=_rolled_out(deployment),
        pods=world.workers_of(spec.namespace, spec.name),
        workers=reading.workers,
        now_ms=reading.stats.now_ms,
        now_s=wall_s,
    )
    tracked.plan = drain.plan(fleet, decision.wanted)
    gone = pod_truth.proven_gone(reading.workers, world.pods, world.deleted_pods)
    _tell_ends(tracked, gone, fleet, reading)
    _look_for_interruptions(tracked, fleet, _rolls_out(deployment), now_s)
    _order_policy(orders, tracked, spec, reading)
    _order_leases(orders, tracked, spec, reading, gone, world)
    _order_explanations(orders, tracked, spec, fleet)
    return orders


def _look_for_interruptions(tracked: Tracked, fleet: drain.Fleet, rolls_out: bool, now_s: float) -> None:
    assert tracked.plan
    if rolls_out or tracked.plan.replicas < fleet.replicas:
        tracked.took_s = now_s
    ours = now_s - tracked.took_s <= interruptions.OURS_S
    tracked.endings, found = interruptions.look(
        tracked.endings, fleet.pods, fleet.workers, ours=ours, now_s=fleet.now_s
    )
    for one in found:
        tracked.interrupted += one.tasks
        message = f"{one.tasks} tasks of {one.pod} outlived its grace when it was taken, and begin anew"
        tracked.tell.append(Told(WARNING, "TasksInterrupted", message))


def _order_policy(orders: Orders, tracked: Tracked, spec: TaskQueueSpec, reading: Reading) -> None:
    policy = QueuePolicy(spec.queue)
    if reading.stats.policy_missing or tracked.policy_generation != spec.generation:

        def written() -> None:
            tracked.policy_generation = spec.generation

        tracked.policy_generation = tracked.policy_deadlines_ms = None
        tracked.policy_behind = [worker.id for worker in reading.workers]
        orders.add(policy.write(policy_fields(spec.policy), spec.generation), written)
    elif tracked.policy_deadlines_ms is None:
        tracked.policy_deadlines_ms = {worker.id: worker.deadline_ms for worker in reading.workers}
    if tracked.policy_deadlines_ms is not None:
        tracked.policy_behind = behind(
            tracked.policy_deadlines_ms, reading.workers, reading.stats.now_ms, tracked.hinted
        )
        # Once is enough: a hint moves a deadline too, and back.
        kept = {one: tracked.policy_deadlines_ms[one] for one in tracked.policy_behind}
        tracked.policy_deadlines_ms = kept
    stopped = spec.stop_policy is not StopPolicy.NONE
    if stopped and not reading.stats.hold:
        orders.add(policy.hold(True))
    elif not stopped and reading.stats.hold and held_by_spec(tracked):
        orders.add(policy.hold(False))


def held_by_spec(tracked: Tracked) -> bool:
    """Whether the hold that is in force came from an earlier stopPolicy, and not from a person."""
    status = tracked.body.get("status") or {}
    return any(
        condition["type"] == "Paused" and condition["status"] == "True" and condition["reason"] == "StopPolicy"
        for condition in status.get("conditions") or ()
    )


def _order_leases(
    orders: Orders,
    tracked: Tracked,
    spec: TaskQueueSpec,
    reading: Reading,
    gone: Iterable[pod_truth.Gone],
    world: World,
) -> None:
    registry = WorkerRegistry(spec.queue)
    tracked.hinted &= {worker.id for worker in reading.workers}
    for one in gone:
        if one.worker not in tracked.hinted or not one.surely:
            tracked.hinted.add(one.worker)
            orders.add(registry.hint_gone(one.worker, one.reason, one.exempt))
    late_ms = round(spec.policy.worker_timeout_s * 500)
    running = pod_truth.vouchable(reading.workers, world.pods, now_ms=reading.stats.now_ms, late_ms=late_ms)
    if running := [worker for worker in running if worker not in tracked.hinted]:
        orders.add(registry.vouch(running, LEASE_MS))
    if tracked.plan and tracked.plan.drain:
        orders.add(registry.drain(tracked.plan.drain, LEASE_MS))
    if tracked.plan and tracked.plan.resume:
        orders.add(registry.drain(tracked.plan.resume, 0))


def _order_explanations(orders: Orders, tracked: Tracked, spec: TaskQueueSpec, fleet: drain.Fleet) -> None:
    """Of what a worker died, when its container was back so fast that the tasks are recovered already."""
    registered = {worker.id for worker in fleet.workers}
    ended = {end.worker: end.reason for pod in fleet.pods for end in pod.exits if not end.reason.endswith(_ENDED_WELL)}
    tracked.explained &= ended.keys()
    for worker, reason in ended.items():
        if worker not in registered and worker not in tracked.explained:

            def explained(worker: str = worker) -> None:
                tracked.explained.add(worker)

            orders.add(WorkerRegistry(spec.queue).hint_gone(worker, reason), explained)


def _tell_ends(tracked: Tracked, gone: Iterable[pod_truth.Gone], fleet: drain.Fleet, reading: Reading) -> None:
    """Tell of workers that ended, each once. A restarted container may have taken over before this look."""
    exits = [(pod.name, end) for pod in fleet.pods for end in pod.exits]
    ends = {end.worker: (pod, end.reason) for pod, end in exits if not end.reason.endswith(_ENDED_WELL)}
    pods = {worker.id: worker.pod or worker.id for worker in reading.workers}
    for one in gone:
        ends.setdefault(one.worker, (pods[one.worker], one.reason))
    held = {worker.id: worker.active for worker in reading.workers}
    if tracked.ended is not None:
        for worker_id, (pod, reason) in ends.items():
            if worker_id not in tracked.ended:
                tasks = held.get(worker_id) or tracked.held.get(worker_id, 0)
                word = {0: "it held no task", 1: "it held 1 task"}.get(tasks, f"it held {tasks} tasks")
                tracked.tell.append(Told(WARNING, "WorkerEnded", f"{pod}: {reason}; {word}"))
    tracked.ended, tracked.held = set(ends), held


def _ready(deployment: Mapping[str, Any] | None) -> int:
    return int(((deployment or {}).get("status") or {}).get("readyReplicas", 0))


def _rolled_out(deployment: Mapping[str, Any] | None) -> bool:
    if deployment is None:
        return False
    status, replicas = deployment.get("status") or {}, replicas_of(deployment)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == replicas
        and status.get("replicas", 0) == replicas
    )


def _rolls_out(deployment: Mapping[str, Any] | None) -> bool:
    """Whether new pods take the place of old ones."""
    if deployment is None:
        return False
    status = deployment.get("status") or {}
    behind = status.get("observedGeneration", 0) < deployment["metadata"]["generation"]
    return bool(behind or status.get("updatedReplicas", 0) < status.get("replicas", 0))
