"""Rates of a queue, from counters that only grow: how fast tasks come into line, how long one runs, how many run.

They start from the queue's whole life, so an operator that has just started, or a queue that wakes from zero
workers, already knows how long its tasks take.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Final

#: A queue that has never finished a task is sized as if each took one second.
ASSUMED_SERVICE_S: Final = 1.0

#: How far back arrivals and busy slots are remembered.
ARRIVAL_MEMORY_S: Final = 30.0

#: So many looks tell a flow from bursts: a flow is what the most of them see.
FLOW_LOOKS: Final = 7

#: How far back finished runs are remembered. Short and long tasks end in turns, so a few seconds tell too little.
SERVICE_MEMORY_S: Final = 30.0

#: This many finished runs are remembered however long ago they were: a slow queue has no others.
SERVICE_MEMORY_RUNS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Counters:
    """A queue's counters at one moment (`at_s` is monotonic).

    `arrived` are tasks that came into line, to wait or to run: a task that is due tomorrow is not one of them yet,
    and one that comes back from a retry is one once more. `runs` have ended and took `run_ms_total` together;
    `busy` slots are in use at this moment.
    """

    at_s: float
    arrived: int
    runs: int
    run_ms_total: int
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals per second, seconds per run, slots in use, each as of late, and the counters last seen.

    `recent_per_s` are the arrivals at each of the last looks. `mean_run_s` is the mean of `weight` runs, older ones
    counted in part; none has ended since `ended_s`, although some were under way all the time.
    """

    arrivals_per_s: float
    recent_per_s: tuple[float, ...]
    mean_run_s: float
    busy: float
    weight: float
    ended_s: float
    seen: Counters

    @property
    def flow_per_s(self) -> float:
        """Arrivals per second as most of the last looks saw them: 0 between bursts, and in them."""
        return statistics.median_low(self.recent_per_s) if self.recent_per_s else 0.0

    @property
    def service_s(self) -> float:
        """One run: its mean, unless for longer than that none has ended. Long ones can't be measured before."""
        return max(self.mean_run_s, self.silent_s)

    @property
    def silent_s(self) -> float:
        """How long ago a run last ended; 0 while none is under way."""
        return self.seen.at_s - self.ended_s


def arrival_memory_s(target_latency_s: float, cooldown_s: float) -> float:
    """How far back arrivals are remembered: each task adds at most one per this time to the rate.

    No longer than workers outlive their work, but as long as a burst may take to drain, or it would look like a flow.
    """
    return max(target_latency_s, min(ARRIVAL_MEMORY_S, cooldown_s))


def first(counters: Counters) -> Rates:
    """Rates from one look: no arrivals yet, and the mean run of the queue's whole life."""
    mean_run_s = counters.run_ms_total / counters.runs / 1000 if counters.runs > 0 else ASSUMED_SERVICE_S
    weight = min(max(0.0, counters.runs), SERVICE_MEMORY_RUNS)
    return Rates(0.0, (), mean_run_s, counters.busy, weight, counters.at_s, counters)


def updated(rates: Rates | None, counters: Counters, memory_s: float = ARRIVAL_MEMORY_S) -> Rates:
    """Rates after another look; arrivals are remembered for `memory_s`.

    Counters that went back (the queue was emptied or restored) start anew.
    """
    if rates is None:
        return first(counters)
    seen = rates.seen
    elapsed_s = counters.at_s - seen.at_s
    runs, run_ms = counters.runs - seen.runs, counters.run_ms_total - seen.run_ms_total
    if elapsed_s <= 0:
        return rates
    if runs < 0 or run_ms < 0:
        return first(counters)
    # Less in line without a run: tasks were discarded, or put aside until a worker knows their name.
    per_s = max(0, counters.arrived - seen.arrived) / elapsed_s
    share = 1 - math.exp(-elapsed_s / memory_s)
    mean_run_s, weight = rates.mean_run_s, rates.weight
    if runs:
        # The mean of all runs within memory: a mean of means would let a second with few runs count like a full one.
        kept = weight * math.exp(-min(elapsed_s / SERVICE_MEMORY_S, runs / SERVICE_MEMORY_RUNS))
        weight = kept + runs
        mean_run_s = (kept * mean_run_s + run_ms / 1000) / weight
    return Rates(
        rates.arrivals_per_s + share * (per_s - rates.arrivals_per_s),
        (*rates.recent_per_s, per_s)[-FLOW_LOOKS:],
        mean_run_s,
        rates.busy + share * (counters.busy - rates.busy),
        weight,
        rates.ended_s if not runs and seen.busy and counters.busy else counters.at_s,
        counters,
    )
