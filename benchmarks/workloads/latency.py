"""Latency: from just before the enqueue to the start of the handler, on an idle worker, at a steady rate.

The producer sends each task at its moment; those of asyncio and Node don't wait for the one before. Every task must be
in the log, or the run is void. What could not be sent at 90 % of the rate tells nothing about it, and is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from peers.peer import Peer
from tables.statistics import quantile
from workloads.ground import Ground, Void
from workloads.measure import Figure, Figures, Workload, part_of


def latencies(workload: str, rate: float, seconds: float) -> Callable[[Ground, Peer, float], Figures]:
    """A run at that rate for so long."""

    def run(ground: Ground, peer: Peer, scale: float) -> Figures:
        tasks = part_of(int(rate * seconds), scale, least=5)
        ground.reset()
        ground.start(peer, workload)
        ground.produce(peer, workload, "latency", 1, "one", rate=1000)
        ground.until(lambda: len(ground.log("L")) == 1, 60, "the first task")
        memory = ground.memory_mib()
        produced = ground.produce(peer, workload, "latency", tasks, "one", rate=rate)
        ground.until(lambda: len(ground.log("L")) >= tasks + 1, 30, "all tasks", every_s=0.1)
        if produced.rate < 0.9 * rate:
            raise Void(f"{produced.rate:,.0f} of {rate:,.0f} tasks/s could be sent")
        sorted_ms = sorted(float(words[0]) * 1e3 for words in ground.log("L")[1:])
        found = {"p50": quantile(sorted_ms, 0.5), "p99": quantile(sorted_ms, 0.99)}
        return {**found, "memory": memory} if workload == "latency-200" else found

    return run


def _workload(rate: int, seconds: float) -> Workload:
    name, title = f"latency-{rate}", f"latency at {rate:,} tasks/s"
    figures = [Figure("p50", f"{title}, median", "ms", False), Figure("p99", f"{title}, 99 %", "ms", False)]
    if rate == 200:
        figures.append(Figure("memory", "memory of an idle worker (PSS)", "MiB", False))
    return Workload(name, title, tuple(figures), latencies(name, rate, seconds))


LATENCIES = (_workload(1, 10), _workload(10, 5), _workload(200, 5), _workload(5_000, 3))
