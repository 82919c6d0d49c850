"""Pairs: what is guarded and its reference, measured right after one another, in processor time per task.

Neighbours on the machine take throughput from both, and hardly any processor time; what they do take (caches, clock
speed) they take from both alike. So the ratio of a pair stands still where seconds wander by a half.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from guarding.counts import PAYLOAD
from peers.ferryman import FERRYMAN
from workloads.ground import Ground

from ferryman import Queue
from ferryman.call import command
from ferryman.link import SyncLink

_HERE: Final = Path(__file__).parent
_BLOCK: Final = 200

#: Processor seconds per task: of the reference, and of what is guarded.
Pair = tuple[float, float]


def worker_pair(ground: Ground, tasks: int) -> Pair:
    """The bare loop over our scripts, and a worker with all defaults on."""
    ground.reset()
    ground.produce(FERRYMAN, "w1", "noop", tasks, "many")
    done = subprocess.run(
        [sys.executable, str(_HERE / "reference_worker.py"), ground.url, "bench"],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    ground.reset()
    ground.produce(FERRYMAN, "w1", "noop", tasks, "many")
    ground.start(FERRYMAN, "w1")
    try:
        used = {}
        for share in (0.8, 0.1):
            ground.until(lambda share=share: ground.waiting(FERRYMAN) <= share * tasks, 240, "the queue's end", 0.002)  # type: ignore[misc]
            used[share] = (ground.cpu_s(), ground.waiting(FERRYMAN))
        seconds = used[0.1][0] - used[0.8][0]
        return float(done.stdout), seconds / (used[0.8][1] - used[0.1][1])
    finally:
        ground.stop()


def enqueue_pair(url: str, link: SyncLink) -> Pair:
    """A plain LPUSH of the same payload over the same kind of link, and `enqueue_sync`; in turns, the least of some."""
    queue = Queue("guard", redis_url=url)

    @queue.task
    async def noop(value: dict[str, Any]) -> None:
        """Nothing."""

    push = command("LPUSH", "plain", noop.task(PAYLOAD).task.args, read=int)
    bare, guarded = [], []
    for _ in range(5):
        bare.append(_cpu_s(lambda: link.run(push)))
        guarded.append(_cpu_s(lambda: noop.enqueue_sync(PAYLOAD)))
    link.run(command("FLUSHALL", read=bool))
    return min(bare), min(guarded)


def _cpu_s(work: Callable[[], object]) -> float:
    work()
    started_s = time.thread_time()
    for _ in range(_BLOCK):
        work()
    return (time.thread_time() - started_s) / _BLOCK


def load() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]
