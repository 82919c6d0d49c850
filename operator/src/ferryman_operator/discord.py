"""Discord: who of a queue speaks a protocol that is too far from the others', and what is to be upgraded. Pure."""

from __future__ import annotations

from ferryman.protocol import PROTOCOL
from ferryman_operator.backlog import Reading


def discord(reading: Reading, ours: int = PROTOCOL) -> tuple[str, str] | None:
    """The reason and message of a condition; None when all are at most one apart. `ours` is the chart's."""
    stats = reading.stats
    if stats.protocol and abs(stats.protocol - ours) > 1:
        where = f"the queue's data speaks protocol {stats.protocol}, this operator and its scheduler {ours}"
        if stats.protocol > ours:
            return "ChartTooOld", f"{where}: upgrade the chart to protocol {stats.protocol - 1} or later"
        return "DataTooOld", f"{where}: install the release of the chart that speaks {stats.protocol + 1} first"
    old = [worker for worker in reading.workers if worker.protocol and worker.protocol < ours - 1]
    if old:
        said = f"{len(old)} workers (ferryman {old[0].version}, the first is {old[0].pod or old[0].id})"
        remedy = f"upgrade spec.worker.image to {ours - 1} or later"
        return "WorkersTooOld", f"{said} speak protocol {old[0].protocol}: {remedy}"
    if stats.refused_protocol and abs(stats.refused_protocol - (stats.protocol or ours)) > 1:
        said = f"a worker was refused: it speaks protocol {stats.refused_protocol}, the queue {stats.protocol}"
        if stats.refused_protocol > stats.protocol:
            return "ChartTooOld", f"{said}: upgrade the chart to protocol {stats.refused_protocol - 1} or later"
        return "WorkersTooOld", f"{said}: upgrade spec.worker.image to protocol {stats.protocol - 1} or later"
    return None
