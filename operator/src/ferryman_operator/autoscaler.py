"""Autoscaler: decides how many workers a queue should have, and says why. Pure.

Demand is everything that needs or will soon need a worker, not only the backlog: a queue whose workers keep up
has no backlog and is not idle. Workers are added in one step, and removed when less was wanted for a whole
cooldown. Without a measurement nothing changes: never scale on missing data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from ferryman_operator import rate_limit
from ferryman_operator.pause import Pause
from ferryman_operator.rates import arrival_memory_s
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

#: When tasks wait too long although all workers run, one step at most doubles the workers.
MOST_GROWTH: Final = 2.0

#: So much of a worker is not worth another one: what is left of an old rate must not make the same burst look larger.
TOLERANCE: Final = 0.05

#: Workers go in one step for each of so many parts of a cooldown, at most: a burst that ebbs away is one step down.
STEPS_PER_COOLDOWN: Final = 10


class Reason(StrEnum):
    """Why this many workers are wanted."""

    BACKLOG_DRAIN = "BacklogDrain"  # what waits and arrives, within the target latency
    DUE_SOON = "DueSoon"  # nothing waits yet, but delayed tasks are about to be due
    OLDEST_AGE = "OldestAge"  # tasks wait longer than they should with these workers
    FLOOR = "Floor"  # minReplicas
    CEILING = "Ceiling"  # maxReplicas
    COOLDOWN = "Cooldown"  # less is needed, but not yet for long enough
    HOLD = "Hold"  # the queue is on hold
    PAUSED = "Paused"  # an annotation keeps the number of workers
    RATE_LIMIT = "RateLimit"  # maxAddedPerMinute or maxRemovedPerMinute
    EXTERNAL = "External"  # somebody else decides
    NO_MEASUREMENT = "NoMeasurement"  # Redis did not answer


@dataclass(frozen=True, slots=True)
class Demand:
    """One measurement of what a queue needs workers for."""

    waiting: int  # could run now, with those that workers hold but have not started
    busy: int  # slots in use
    busy_of_late: float  # the same, smoothed
    due_soon: int  # delayed, due within seconds
    orphaned: int  # held by workers that fell silent; they will wait again
    oldest_age_s: float  # of the oldest waiting task
    arrivals_per_s: float  # of late, bursts included
    flow_per_s: float  # what arrives most of the time
    service_s: float  # one run
    silent_s: float  # since a run last ended, while some were under way

    @property
    def backlog(self) -> int:
        """Tasks that no slot has taken yet."""
        return self.waiting + self.due_soon + self.orphaned

    @property
    def is_zero(self) -> bool:
        """Nothing to do, now or soon."""
        return not (self.backlog or self.busy)


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision hands to the next.

    `peaks` are the workers that the moments of the last cooldown could have made use of, without those that a later
    one exceeded: (when, workers), falling. `enough_since_s` is since when as many workers run as the estimate asks
    for, and yet tasks wait. `sizes` are the workers of the last minute, where a limit asks for them.
    """

    wanted: int = 0
    peaks: tuple[tuple[float, int], ...] = ()
    enough_since_s: float | None = None
    sizes: rate_limit.Sizes = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers are wanted, and why, in a word and in a sentence."""

    wanted: int
    reason: Reason
    message: str
    memory: Memory


def decide(
    scaling: Scaling,
    concurrency: int,
    demand: Demand | None,
    *,
    current: int,
    settled: bool,
    hold: StopPolicy,
    memory: Memory | None,
    now_s: float,
    pause: Pause | None = None,
) -> Decision:
    """How many workers there should be.

    `demand` is None when it is not known; `current` are the replicas that there are, and `settled` says whether
    all of them run. `memory` is None at the first decision, which therefore removes nothing for a cooldown.
    """
    stay = Memory(current, ((now_s, current),))
    if hold is StopPolicy.HOLD_AND_DRAIN:
        return Decision(0, Reason.HOLD, "on hold; workers go when they have finished", stay)
    if hold is StopPolicy.HOLD:
        return Decision(current, Reason.HOLD, f"on hold; staying at {current}", stay)
    decision = _by_demand(scaling, concurrency, demand, current, settled, memory, stay, now_s)
    decision = _limited(decision, scaling, current, memory, now_s)
    if pause and (wanted := pause.bound(decision.wanted, current)) != decision.wanted:
        message = f"{pause.sentence}; without it {decision.wanted}: {decision.message}"
        return Decision(wanted, Reason.PAUSED, message, replace(decision.memory, wanted=wanted))
    return decision


def _by_demand(
    scaling: Scaling,
    concurrency: int,
    demand: Demand | None,
    current: int,
    settled: bool,
    memory: Memory | None,
    stay: Memory,
    now_s: float,
) -> Decision:
    """By what is to be done, or by who else decides."""
    if scaling.mode is ScalingMode.EXTERNAL:
        wish = current if scaling.replicas is None else scaling.replicas
        wanted = min(max(wish, scaling.min_replicas), scaling.max_replicas)
        return Decision(wanted, Reason.EXTERNAL, f"spec.replicas is {scaling.replicas}", stay)
    if demand is None:
        # The floor is the spec's word and no measurement; the ceiling waits, for nobody can be drained now.
        wanted = max(current, scaling.min_replicas)
        return Decision(wanted, Reason.NO_MEASUREMENT, f"no measurement; staying at {wanted}", stay)

    memory = memory or stay
    slots = _slots(scaling, demand)
    needed = _workers(slots, concurrency) if demand.is_zero else max(1, _workers(slots, concurrency))
    reason = Reason.BACKLOG_DRAIN if demand.waiting or demand.busy or demand.orphaned else Reason.DUE_SOON
    enough_since_s = _enough_since(scaling, demand, current, settled, needed, memory, now_s)
    late = demand.oldest_age_s / scaling.target_latency_s
    kept = current if late > 1 else 0  # nobody goes while tasks wait too long
    if late > 1 and enough_since_s is not None and now_s - enough_since_s >= scaling.target_latency_s:
        # What waited when the workers became enough should be gone by now, so the estimate is off: grow by what is
        # observed, and give the new workers as long before judging again.
        kept, enough_since_s = math.ceil(current * min(late, MOST_GROWTH)), None
    kept = min(kept, _workers(demand.backlog + demand.busy, concurrency))
    if kept > max(needed, memory.wanted):
        needed, reason = kept, Reason.OLDEST_AGE
    useful = max(needed, kept, _workers(slots + _headroom(scaling, demand), concurrency))
    peaks = _peaks(memory, now_s, scaling, useful)
    wanted = _bounded(max(needed, min(memory.wanted, peaks[0][1])), scaling)
    if wanted > max(needed, scaling.min_replicas):
        reason = Reason.COOLDOWN
    elif needed > scaling.max_replicas:
        reason = Reason.CEILING
    elif needed < scaling.min_replicas or demand.is_zero:
        reason = Reason.FLOOR
    return Decision(wanted, reason, _sentence(scaling, demand, needed, reason), Memory(wanted, peaks, enough_since_s))


def _limited(decision: Decision, scaling: Scaling, current: int, memory: Memory | None, now_s: float) -> Decision:
    """No faster than the spec allows."""
    if scaling.added_per_minute is None and scaling.removed_per_minute is None:
        return decision
    sizes = rate_limit.observed(memory.sizes if memory else (), current, now_s)
    wanted, limit = rate_limit.limited(decision.wanted, scaling, sizes)
    if not limit:
        return replace(decision, memory=replace(decision.memory, sizes=sizes))
    message = f"{limit}; {decision.wanted} would do: {decision.message}"
    return Decision(wanted, Reason.RATE_LIMIT, message, replace(decision.memory, wanted=wanted, sizes=sizes))


def _slots(scaling: Scaling, demand: Demand) -> float:
    """Slots that the demand calls for, each running one task at a time.

    A slot starts target / service tasks within the target latency; a long task, however long, needs one slot and no
    more. So an estimate that is far off costs at most a slot per task that waits or arrives within the target.
    """
    if demand.is_zero:
        return 0.0
    target_s, service_s = scaling.target_latency_s, demand.service_s
    drain = demand.backlog * min(service_s / target_s, 1.0)
    # Little's law on what arrives steadily. A burst that is over tells nothing of the next second.
    steady = min(_fresh_per_s(scaling, demand), demand.flow_per_s) * min(service_s, target_s)
    # Long tasks hold their slots beyond the target; all of them do when no run was ever known to take so long.
    unheard_of = demand.silent_s >= max(service_s, target_s)
    held_share = 1.0 if unheard_of else 1 - min(1.0, target_s / service_s) if service_s else 0.0
    # What has been in use for long is needed, whatever the estimate says.
    return max(drain + max(steady, demand.busy * held_share), min(demand.busy, demand.busy_of_late))


def _headroom(scaling: Scaling, demand: Demand) -> float:
    """Slots that random arrivals may add within a target: nobody is removed who would be back within a minute."""
    if demand.is_zero:
        return 0.0
    fresh = _fresh_per_s(scaling, demand) * min(demand.service_s, 2 * scaling.target_latency_s)
    return max(0.0, math.sqrt(fresh) - 0.5)


def _fresh_per_s(scaling: Scaling, demand: Demand) -> float:
    """Arrivals but for the tasks that still wait: they are in the rate too, and must not count twice.

    A burst would call for more workers than the same work that has waited for long.
    """
    memory_s = arrival_memory_s(scaling.target_latency_s, scaling.cooldown_s)
    return max(0.0, demand.arrivals_per_s - demand.waiting / memory_s)


def _enough_since(
    scaling: Scaling, demand: Demand, current: int, settled: bool, needed: int, memory: Memory, now_s: float
) -> float | None:
    """Since when there are as many workers as the estimate asks for, all running, and yet tasks wait."""
    enough = settled and current > 0 and current >= min(needed, scaling.max_replicas)
    if not (enough and demand.waiting):
        return None
    return now_s if memory.enough_since_s is None else memory.enough_since_s


def _peaks(memory: Memory, now_s: float, scaling: Scaling, useful: int) -> tuple[tuple[float, int], ...]:
    """The peaks with this moment's, without those that are over: by time, or because this one is as high."""
    step_s = scaling.cooldown_s / STEPS_PER_COOLDOWN
    at_s = math.ceil(now_s / step_s) * step_s if step_s else now_s
    recent = tuple(peak for peak in memory.peaks if now_s - peak[0] < scaling.cooldown_s and peak[1] > useful)
    return recent if recent and recent[-1][0] >= at_s else (*recent, (at_s, useful))


def _workers(slots: float, concurrency: int) -> int:
    return math.ceil(slots / concurrency - TOLERANCE)


def _bounded(wanted: int, scaling: Scaling) -> int:
    return min(max(wanted, scaling.min_replicas), scaling.max_replicas)


def _sentence(scaling: Scaling, demand: Demand, needed: int, reason: Reason) -> str:
    if demand.is_zero:
        least = scaling.min_replicas
        idle = f"nothing to do, and minReplicas is {least}" if least else "nothing to do"
        return f"{idle}; waiting {_spoken(scaling.cooldown_s)} before workers go" if reason is Reason.COOLDOWN else idle
    parts = [f"{demand.waiting} waiting", f"{demand.busy} running"]
    if demand.due_soon:
        parts.append(f"{demand.due_soon} due soon")
    if demand.orphaned:
        parts.append(f"{demand.orphaned} of silent workers")
    parts += [f"{_spoken(demand.service_s)} each", f"target {_spoken(scaling.target_latency_s)}"]
    if reason is Reason.OLDEST_AGE:
        parts.append(f"the oldest waits {_spoken(demand.oldest_age_s)}")
    if reason in (Reason.CEILING, Reason.COOLDOWN):
        parts.append(f"{needed} would do")
    return ", ".join(parts)


def _spoken(duration_s: float) -> str:
    """A duration for people: 0.4 s, 12 s, 5 min."""
    if duration_s < 120:
        return f"{duration_s:.2g} s" if duration_s < 10 else f"{duration_s:.0f} s"
    return f"{duration_s / 60:.3g} min"
