"""Start: from the start of a worker's process to the start of its first task, which waits already. The code is in the
file cache: the task before it, by another worker, does not count.
"""

from __future__ import annotations

import time

from peers.peer import Peer
from workloads.ground import Ground
from workloads.measure import Figure, Figures, Workload


def run(ground: Ground, peer: Peer, scale: float) -> Figures:
    """One worker to warm up, and one that counts, however small the scale."""
    for _ in range(2):
        ground.reset()
        ground.produce(peer, "start", "noop", 1, "one")
        begun_s = time.time()
        ground.start(peer, "start")
        ground.until(lambda: ground.marks().count >= 1, 60, "the first task", every_s=0.005)
        took_s = ground.marks().first_s - begun_s
        ground.kill_workers()
    return {"seconds": took_s}


START = Workload(
    "start",
    "from a worker's start to its first task",
    (Figure("seconds", "from a worker's start to its first task", "s", more_is_better=False),),
    run,
)
