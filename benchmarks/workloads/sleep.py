"""Sleep: tasks that wait 50 ms as for a database, 100 at once in one worker; 2,000/s is all that there can be."""

from __future__ import annotations

from peers.peer import Peer
from workloads.ground import Ground
from workloads.measure import Figure, Figures, Workload, part_of

_TASKS = 4_000


def run(ground: Ground, peer: Peer, scale: float) -> Figures:
    """Enqueue, start a worker, and time it from the first task's end to the last one's."""
    tasks = part_of(_TASKS, scale, least=200)
    ground.reset()
    ground.produce(peer, "sleep", "sleep", tasks, "one")
    ground.start(peer, "sleep")
    ground.until(lambda: ground.marks().count >= tasks, 120, f"{tasks} tasks", every_s=0.05)
    return {"rate": ground.marks().rate}


SLEEP = Workload("sleep", "tasks of 50 ms, 100 at once", (Figure("rate", "tasks of 50 ms, 100 at once", "/s"),), run)
