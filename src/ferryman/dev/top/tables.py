"""Tables: what stands in the columns of queues, workers, held tasks, dead tasks and lanes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ferryman.cli.figures import oldest_waiting
from ferryman.cli.harmless import harmless
from ferryman.cli.output import duration
from ferryman.dev.top.cells import amount, sparkline
from ferryman.dev.top.columns import Column
from ferryman.dev.top.samples import Samples
from ferryman.dev.top.words import first_line, run_of, worker_name, worker_state
from ferryman.glance import Glance
from ferryman.inspector import QueueStats
from ferryman.lane_figures import LaneRow, lane_name, running, starts
from ferryman.overview import remarks, severity
from ferryman.workers import WorkerRow

_WIDE = 200


@dataclass(frozen=True, slots=True)
class QueueRow:
    """What is known of a queue; `stats` is None until it was read, `refused` says why it can't be."""

    name: str
    stats: QueueStats | None
    samples: Samples
    refused: str = ""


def queue_columns(longest_name: int) -> list[Column[QueueRow]]:
    """The list of queues. A `!` before the name: there is something to notice."""

    def figure(title: str, rank: int, name: str, width: int = 7) -> Column[QueueRow]:
        return Column(title, width, lambda row, _: amount(getattr(row.stats, name)) if row.stats else "·", rank)

    return [
        Column("", 1, lambda row, _: "!" if needs_a_look(row) else " ", 1, right=False),
        Column("QUEUE", 10, lambda row, _: row.name, 0, right=False, most=max(10, longest_name)),
        figure("WAITING", 2, "waiting"),
        figure("ACTIVE", 3, "active", 6),
        figure("DEAD", 4, "dead", 6),
        Column("OLDEST", 6, lambda row, _: oldest(row.stats), 5),
        Column("DONE/S", 6, lambda row, _: done(row.samples), 6),
        Column("LAST MINUTE", 12, lambda row, width: sparkline(row.samples.waiting(width)), 7, right=False),
        figure("DELAYED", 8, "delayed"),
        figure("WORKERS", 9, "workers"),
        figure("FAILED", 11, "failed"),
        figure("BLOCKED", 12, "blocked"),
        Column("REMARKS", 14, lambda row, _: noticed(row), 10, right=False, most=_WIDE),
    ]


def worker_columns() -> list[Column[WorkerRow]]:
    """The workers of a queue."""
    return [
        Column("WORKER", 14, lambda row, width: _end_of(worker_name(row), width), 0, right=False, most=52),
        Column("HOLDS", 7, lambda row, _: f"{row.active}/{row.concurrency}", 1),
        Column("STATE", 10, lambda row, _: worker_state(row), 2, right=False, most=22),
        Column("APP", 12, lambda row, _: harmless(row.app), 4, right=False),
        Column("VERSION", 8, lambda row, _: harmless(row.version), 5, right=False),
    ]


def held_columns() -> list[Column[Glance]]:
    """What a worker holds, below its line."""
    return [
        Column("  ID", 13, lambda task, _: f"  {task.id}", 0, right=False, most=26),
        Column("TASK", 10, lambda task, _: task.name, 2, right=False, most=30),
        Column("HELD", 6, lambda task, _: duration(task.since_s), 1),
        Column("RUN", 12, lambda task, _: run_and_progress(task), 3, right=False, most=48),
    ]


def run_and_progress(task: Glance) -> str:
    """Which run it is, and how far its handler says it is: few tasks say so, and the others need no column for it."""
    return ", ".join(filter(None, (run_of(task), harmless(task.progress))))


def dead_columns() -> list[Column[Glance]]:
    """The dead tasks of a queue."""
    return [
        Column("DEAD FOR", 8, lambda task, _: duration(task.since_s), 1),
        Column("TASK", 10, lambda task, _: task.name, 2, right=False, most=24),
        Column("ID", 12, lambda task, _: task.id, 4, right=False, most=24),
        Column("RUNS", 4, lambda task, _: str(task.attempt + task.crashes), 5),
        Column("ERROR", 14, lambda task, _: first_line(task.error), 0, right=False, most=_WIDE),
    ]


def lane_columns() -> list[Column[LaneRow]]:
    """The lanes of a queue, as `ferryman lanes` prints them."""
    return [
        Column("LANE", 12, lambda row, _: harmless(lane_name(row)), 0, right=False, most=40),
        Column("BLOCKED", 7, lambda row, _: amount(row.blocked), 1),
        Column("WAITING", 7, lambda row, _: amount(row.waiting), 3),
        Column("RUNNING", 7, lambda row, _: running(row), 4),
        Column("STARTS", 9, lambda row, _: starts(row), 5, most=11),
        Column("WAITS FOR", 9, waits_for, 2, right=False, most=60),
    ]


def waits_for(row: LaneRow, width: int) -> str:
    """What holds a lane back: in full, or where that does not fit, what kind of thing it is."""
    full = row.waits_for
    return full if len(full) <= width else re.split("[:,]", full, maxsplit=1)[0]


def needs_a_look(row: QueueRow) -> bool:
    """Whether a person should notice it."""
    return bool(row.refused) or (row.stats is not None and severity(row.stats) > 0)


def noticed(row: QueueRow) -> str:
    """What there is to notice, in words."""
    if row.refused:
        return f"can't be read: {harmless(row.refused)}"
    if row.stats is None:
        return "not read yet"
    dead = f"{amount(row.stats.dead)} dead" if row.stats.dead else ""
    return ", ".join(filter(None, (remarks(row.stats), dead)))


def oldest(stats: QueueStats | None) -> str:
    """How long the oldest waiting task has waited."""
    return "·" if stats is None else oldest_waiting(stats)


def done(samples: Samples) -> str:
    """Tasks completed a second, lately."""
    rate = samples.done_per_s()
    if rate is None:
        return "·"
    return f"{rate:.1f}" if 0 < rate < 9.95 else amount(rate)


def _end_of(name: str, width: int) -> str:
    """Of a name that is too long its end, which tells it from its neighbours."""
    return name if len(name) <= width else "…" + name[1 - width :]
