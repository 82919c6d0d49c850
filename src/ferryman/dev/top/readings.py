"""Readings: what `ferryman top` shows, read in one go, and the rates between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferryman.inspector import QueueStats
from ferryman.link import Link
from ferryman.overview import figures_of, remarks
from ferryman.plan import Plan, run_plan_async
from ferryman.workers import WorkerRegistry, WorkerRow

_WORKERS_AT_MOST = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at about one moment. `workers` are those of the chosen queue."""

    figures: Mapping[str, QueueStats]
    workers: Sequence[WorkerRow]


async def read(link: Link, queue: str | None) -> Reading:
    """All queues, and the workers of `queue`."""
    return await run_plan_async(link, _reading(queue))


def _reading(queue: str | None) -> Plan[Reading]:
    figures = yield from figures_of()
    workers: list[WorkerRow] = []
    if queue:
        [workers] = yield [WorkerRegistry(queue).list(_WORKERS_AT_MOST)]
    return Reading({one.queue: one for one in figures}, workers)


def queue_cells(now: QueueStats, before: QueueStats | None) -> tuple[str, ...]:
    """A queue's row: its name, and figures that people compare from line to line."""
    return (
        now.queue,
        f"{now.waiting:,}",
        f"{now.active:,}",
        f"{now.delayed:,}",
        f"{now.dead:,}",
        _rate(now, before),
        f"{now.completed:,}",
        f"{now.failed:,}",
        f"{now.workers}",
        f"{now.oldest_waiting_s:.1f}s" if now.waiting else "-",
        remarks(now),
    )


def worker_cells(row: WorkerRow, now_ms: int) -> tuple[str, ...]:
    """A worker's row."""
    if row.deadline_ms == 0:
        state = "dead, its tasks are being recovered"
    elif row.deadline_ms < now_ms:
        state = "silent"
    else:
        state = "draining" if row.draining else "alive"
    return row.id, f"{row.active}/{row.concurrency}", state, row.app, row.version


def _rate(now: QueueStats, before: QueueStats | None) -> str:
    elapsed_ms = now.now_ms - before.now_ms if before else 0
    if before is None or elapsed_ms <= 0:
        return "-"
    return f"{max(0, now.completed - before.completed) * 1000 / elapsed_ms:,.0f}"
