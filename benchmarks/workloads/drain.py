"""Drains: workers that are started on a queue full of no-op tasks, and what they occupy before and after.

The rate is from the first task's start to the last one's, as the tasks themselves note it. The queue's length, read
from Redis every 5 ms between 90 % and 10 % left, must tell about the same; where a peer fetches ahead, a little more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from peers.peer import Peer
from workloads.ground import Ground, Void
from workloads.measure import Figure, Figures, Workload, part_of

_WITHIN_S = 120.0
_SAMPLE_EVERY_S = 0.005


@dataclass(frozen=True, slots=True)
class Sample:
    """How many tasks waited at a moment (seconds of any clock)."""

    at_s: float
    waiting: int


def outside_rate(samples: list[Sample], tasks: int) -> float:
    """Tasks per second that left the queue between 90 % and 10 %; 0 when the samples don't show both.

    Of the samples those count that are the first at or below each mark: the rate is of what was seen, not of the marks.
    """
    begun = next((s for s in samples if s.waiting <= 0.9 * tasks), None)
    ended = next((s for s in samples if s.waiting <= 0.1 * tasks), None)
    if begun is None or ended is None or ended.at_s <= begun.at_s:
        return 0.0
    return (begun.waiting - ended.waiting) / (ended.at_s - begun.at_s)


def drains(workload: str, workers: int) -> Callable[[Ground, Peer, float], Figures]:
    """A run of that workload with so many worker processes."""

    def run(ground: Ground, peer: Peer, scale: float) -> Figures:
        tasks = part_of(peer.tasks, scale)
        ground.reset()
        mode = "many" if "enqueue-many" in peer.workloads else "one"
        ground.produce(peer, workload, "noop", tasks, mode)
        queued = ground.waiting(peer)
        if queued != tasks:
            raise Void(f"{tasks} tasks were enqueued, and {queued} wait")
        for _ in range(workers):
            ground.start(peer, workload)
        samples = [Sample(time.perf_counter(), queued)]
        deadline = samples[0].at_s + _WITHIN_S
        done, seen_s = 0, samples[0].at_s
        while done < tasks:
            time.sleep(_SAMPLE_EVERY_S)
            samples.append(Sample(time.perf_counter(), ground.waiting(peer)))
            if samples[-1].at_s - seen_s > 0.1:
                done, seen_s = ground.marks().count, samples[-1].at_s
                ground.check_workers()
            if samples[-1].at_s > deadline:
                raise Void(f"{done} of {tasks} tasks ran within {_WITHIN_S:g} s")
        time.sleep(0.3)  # let it settle: what its memory then is, and whether something runs twice
        found = {"rate": ground.marks().rate, "memory": ground.memory_mib(), "extra": ground.marks().count - tasks}
        outside = outside_rate(samples, tasks)
        return {**found, **({"outside": outside} if outside else {})}

    return run


_MEMORY = Figure("memory", "memory of the workers after it (PSS)", "MiB", more_is_better=False)

W1 = Workload(
    "w1", "no-op tasks, one worker process", (Figure("rate", "W1: no-op tasks, one worker process", "/s"), _MEMORY),
    drains("w1", 1),
)  # fmt: skip
W1B = Workload(
    "w1b", "no-op tasks, two worker processes", (Figure("rate", "W1b: two worker processes", "/s"),), drains("w1b", 2)
)
SYNC = Workload(
    "sync", "blocking no-op tasks in threads", (Figure("rate", "blocking no-op tasks in threads", "/s"),),
    drains("sync", 1),
)  # fmt: skip
POOL = Workload(
    "pool", "no-op tasks in processes", (Figure("rate", "no-op tasks in processes", "/s"),), drains("pool", 1)
)
