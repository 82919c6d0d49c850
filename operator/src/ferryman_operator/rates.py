"""Rates of a queue, from counters that only grow: how fast tasks arrive, and how long one runs.

Both are exponentially weighted means. They start from the queue's whole life, so an operator that has just
started, or a queue that wakes from zero workers, already knows how long its tasks take.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: A queue that has never finished a task is sized as if each took one second.
ASSUMED_SERVICE_S: Final = 1.0

#: How far back arrivals are remembered: each task adds at most one per this time to the rate.
ARRIVAL_MEMORY_S: Final = 60.0

#: How many finished runs the service time remembers.
SERVICE_MEMORY_RUNS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Counters:
    """A queue's counters at one moment (`at_s` is monotonic): tasks in, runs ended, and the sum of their times."""

    at_s: float
    enqueued: int
    runs: int
    run_ms_total: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals per second and seconds per run, with the counters that they were last updated from."""

    arrivals_per_s: float
    service_s: float
    seen: Counters


def first(counters: Counters) -> Rates:
    """Rates from one look: no arrivals yet, and the mean run of the queue's whole life."""
    service_s = counters.run_ms_total / counters.runs / 1000 if counters.runs > 0 else ASSUMED_SERVICE_S
    return Rates(0.0, service_s, counters)


def updated(rates: Rates | None, counters: Counters) -> Rates:
    """Rates after another look. Counters that went back (the queue was emptied or restored) start anew."""
    if rates is None:
        return first(counters)
    seen = rates.seen
    elapsed_s, enqueued = counters.at_s - seen.at_s, counters.enqueued - seen.enqueued
    runs, run_ms = counters.runs - seen.runs, counters.run_ms_total - seen.run_ms_total
    if elapsed_s <= 0:
        return rates
    if enqueued < 0 or runs < 0 or run_ms < 0:
        return first(counters)
    arrival_weight = 1 - math.exp(-elapsed_s / ARRIVAL_MEMORY_S)
    arrivals_per_s = rates.arrivals_per_s + arrival_weight * (enqueued / elapsed_s - rates.arrivals_per_s)
    service_s = rates.service_s
    if runs:
        nothing_known = seen.runs == 0
        service_weight = 1.0 if nothing_known else 1 - math.exp(-runs / SERVICE_MEMORY_RUNS)
        service_s += service_weight * (run_ms / runs / 1000 - service_s)
    return Rates(arrivals_per_s, service_s, counters)
