"""Footprint: what a waiting task occupies in Redis, with the payload that every peer is given."""

from __future__ import annotations

from peers.peer import Peer
from workloads.ground import Ground, Void
from workloads.measure import Figure, Figures, Workload

from ferryman.call import command

_TASKS = 2_000


def run(ground: Ground, peer: Peer, scale: float) -> Figures:
    """So many tasks whatever the scale: with fewer, what a queue costs by itself would count."""
    ground.reset()
    ground.produce(peer, "footprint", "noop", 10, "one")
    before = _used_bytes(ground)
    ground.produce(peer, "footprint", "noop", _TASKS, "many" if "enqueue-many" in peer.workloads else "one")
    used = _used_bytes(ground) - before
    if (waiting := ground.waiting(peer)) != _TASKS + 10:
        raise Void(f"{_TASKS + 10} tasks were enqueued, and {waiting} wait")
    return {"bytes": used / _TASKS}


def _used_bytes(ground: Ground) -> int:
    return int(ground.link.run(command("INFO", "memory", read=dict))["used_memory_dataset"])


FOOTPRINT = Workload(
    "footprint",
    "a waiting task in Redis",
    (Figure("bytes", "a waiting task in Redis", "bytes", more_is_better=False),),
    run,
)
