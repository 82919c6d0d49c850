"""Enqueueing: only the calls are timed, in one fresh process, after a hundred that don't count.

Redis must then have each of them waiting.
"""

from __future__ import annotations

from collections.abc import Callable

from peers.peer import Peer
from workloads.ground import Ground, Void
from workloads.measure import Figure, Figures, Workload, part_of


def enqueues(workload: str, mode: str, at_once: int) -> Callable[[Ground, Peer, float], Figures]:
    """A run that enqueues in that mode; `at_once` says how much faster than one by one it may be."""

    def run(ground: Ground, peer: Peer, scale: float) -> Figures:
        # In proportion to what the peer's worker does, within bounds: one that is slow there is slow here.
        usual = min(max(peer.tasks // 10, 1_000), 10_000) * at_once
        tasks = part_of(usual, scale)
        ground.reset()
        produced = ground.produce(peer, workload, "noop", tasks, mode)
        if (waiting := ground.waiting(peer)) != tasks:
            raise Void(f"{tasks} tasks were enqueued, and {waiting} wait")
        return {"rate": produced.rate}

    return run


def _workload(name: str, title: str, mode: str, at_once: int) -> Workload:
    return Workload(name, title, (Figure("rate", title, "/s"),), enqueues(name, mode, at_once))


ONE = _workload("enqueue-one", "enqueue, one awaited after another", "one", 1)
BLOCKING = _workload("enqueue-sync", "enqueue, one blocking call after another", "one", 1)
MANY = _workload("enqueue-many", "enqueue, many in one call", "many", 10)
CROWD = _workload("enqueue-crowd", "enqueue, from 100 coroutines", "crowd", 2)
