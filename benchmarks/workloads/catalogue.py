"""All workloads, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from workloads import drain, enqueue, footprint, kill, latency, sleep, start
from workloads.measure import Workload

WORKLOADS: Final[tuple[Workload, ...]] = (
    *(drain.W1, drain.W1B, enqueue.ONE, enqueue.BLOCKING, enqueue.MANY, enqueue.CROWD),
    *latency.LATENCIES,
    *(sleep.SLEEP, kill.KILL, kill.UNSEEN, drain.SYNC, drain.POOL, start.START, footprint.FOOTPRINT),
)
