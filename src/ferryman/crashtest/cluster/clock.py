"""ClusterClock: the time of the collector, as seen from here, so that kills and executions lie on one line.

Read once, through a pod: the answer that came back fastest is the best one.
"""

from __future__ import annotations

import time
from typing import Final

from ferryman.crashtest.cluster.kubectl import Kubectl
from ferryman.crashtest.cluster.objects import COLLECTOR

_READINGS: Final = 5


class ClusterClock:
    """`now_ms` on the collector's clock; `error_ms` is how wrong it may be."""

    def __init__(self, offset_ms: float, error_ms: float) -> None:
        self._offset_ms = offset_ms
        self.error_ms = error_ms

    def now_ms(self) -> float:
        """Now."""
        return time.monotonic() * 1_000 + self._offset_ms


async def read_clock(kubectl: Kubectl) -> ClusterClock:
    """Raises KubectlFailed."""
    best: tuple[float, float] | None = None
    for _ in range(_READINGS):
        before_ms = time.monotonic() * 1_000
        text = await kubectl.execute(COLLECTOR, "collector", "cat", "/proc/uptime")
        took_ms = time.monotonic() * 1_000 - before_ms
        reading = (took_ms / 2, float(text.split()[0]) * 1_000 - before_ms - took_ms / 2)
        best = min(best, reading) if best else reading
    assert best
    return ClusterClock(offset_ms=best[1], error_ms=best[0])
