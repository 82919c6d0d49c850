"""Autoscaler: decides how many workers a queue should have, and says why. Pure.

Demand is everything that needs or will soon need a worker, not only the backlog: a queue whose workers keep up
has no backlog and is not idle. Workers are added in one step, and removed when less was wanted for a whole
cooldown. Without a measurement nothing changes: never scale on missing data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ferryman_operator.rates import ARRIVAL_MEMORY_S
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

#: When tasks wait too long although all workers run, one step at most doubles the workers.
MOST_GROWTH: Final = 2.0


class Reason(StrEnum):
    """Why this many workers are wanted."""

    BACKLOG_DRAIN = "BacklogDrain"  # what waits and arrives, within the target latency
    DUE_SOON = "DueSoon"  # nothing waits yet, but delayed tasks are about to be due
    OLDEST_AGE = "OldestAge"  # tasks wait longer than they should with these workers
    FLOOR = "Floor"  # minReplicas
    CEILING = "Ceiling"  # maxReplicas
    COOLDOWN = "Cooldown"  # less is needed, but not yet for long enough
    HOLD = "Hold"  # the queue is on hold
    EXTERNAL = "External"  # somebody else decides
    NO_MEASUREMENT = "NoMeasurement"  # Redis did not answer


@dataclass(frozen=True, slots=True)
class Demand:
    """One measurement of what a queue needs workers for."""

    waiting: int  # could run now, with those that workers hold but have not started
    busy: int  # slots in use
    due_soon: int  # delayed, due within seconds
    orphaned: int  # held by workers that fell silent; they will wait again
    oldest_age_s: float  # of the oldest waiting task
    arrivals_per_s: float
    service_s: float  # one run

    @property
    def is_zero(self) -> bool:
        """Nothing to do, now or soon."""
        return not (self.waiting or self.busy or self.due_soon or self.orphaned)


@dataclass(frozen=True, slots=True)
class Memory:
    """What one decision hands to the next.

    `peaks` are the wishes of the last cooldown that no later wish has reached: (when, replicas), falling.
    """

    peaks: tuple[tuple[float, int], ...] = ()
    grown_for_age_s: float = -math.inf


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
) -> Decision:
    """How many workers there should be.

    `demand` is None when it is not known; `current` are the replicas that there are, and `settled` says whether
    all of them run. `memory` is None at the first decision, which therefore removes nothing for a cooldown.
    """
    stay = Memory(((now_s, current),))
    if hold is StopPolicy.HOLD_AND_DRAIN:
        return Decision(0, Reason.HOLD, "on hold; workers go when they have finished", stay)
    if hold is StopPolicy.HOLD:
        return Decision(current, Reason.HOLD, f"on hold; staying at {current}", stay)
    if scaling.mode is ScalingMode.EXTERNAL:
        wish = current if scaling.replicas is None else scaling.replicas
        wanted = min(max(wish, scaling.min_replicas), scaling.max_replicas)
        return Decision(wanted, Reason.EXTERNAL, f"spec.replicas is {scaling.replicas}", stay)
    if demand is None:
        return Decision(current, Reason.NO_MEASUREMENT, f"no measurement; staying at {current}", stay)

    memory = memory or stay
    needed, reason, memory = _needed(scaling, concurrency, demand, current, settled, memory, now_s)
    bounded = min(max(needed, scaling.min_replicas), scaling.max_replicas)
    recent = tuple(peak for peak in memory.peaks if now_s - peak[0] < scaling.cooldown_s and peak[1] > bounded)
    memory = Memory((*recent, (now_s, bounded)), memory.grown_for_age_s)
    wanted = min(memory.peaks[0][1], scaling.max_replicas)

    if wanted > bounded:
        reason = Reason.COOLDOWN
    elif needed > scaling.max_replicas:
        reason = Reason.CEILING
    elif needed < scaling.min_replicas or demand.is_zero:
        reason = Reason.FLOOR
    return Decision(wanted, reason, _sentence(scaling, demand, needed, reason), memory)


def _needed(
    scaling: Scaling, concurrency: int, demand: Demand, current: int, settled: bool, memory: Memory, now_s: float
) -> tuple[int, Reason, Memory]:
    """Workers that the demand calls for, before any bounds."""
    if demand.is_zero:
        return 0, Reason.FLOOR, memory
    backlog = demand.waiting + demand.due_soon + demand.orphaned
    drain_slots = backlog * demand.service_s / scaling.target_latency_s
    # Little's law on what arrives steadily. Tasks that still wait are in the rate too, and must not count twice:
    # a burst would call for more workers than the same work that has waited for long.
    steady_per_s = max(0.0, demand.arrivals_per_s - backlog / ARRIVAL_MEMORY_S)
    steady_slots = steady_per_s * demand.service_s
    needed = max(1, math.ceil(max(drain_slots + steady_slots, demand.busy) / concurrency))
    reason = Reason.BACKLOG_DRAIN if demand.waiting or demand.busy or demand.orphaned else Reason.DUE_SOON

    # Tasks that wait too long while all workers run: the estimate is off, so grow by what was observed, and then
    # give the new workers the time of one target before judging again.
    late = demand.oldest_age_s / scaling.target_latency_s
    rested = now_s - memory.grown_for_age_s >= scaling.target_latency_s
    if demand.waiting and late > 1 and settled and rested and current > 0:
        aged = math.ceil(current * min(late, MOST_GROWTH))
        if aged > needed:
            return aged, Reason.OLDEST_AGE, Memory(memory.peaks, now_s)
    return needed, reason, memory


def _sentence(scaling: Scaling, demand: Demand, needed: int, reason: Reason) -> str:
    if demand.is_zero:
        idle = "nothing to do"
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
