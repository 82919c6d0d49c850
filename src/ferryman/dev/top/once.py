"""`ferryman top --once`: the figures as plain text or JSON, for scripts and for terminals that can't be drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from ferryman.cli.figures import print_figures
from ferryman.cli.output import duration, print_json, print_table
from ferryman.dev.top.selection import selected
from ferryman.dev.top.words import first_line, run_of, worker_name, worker_state
from ferryman.glance import Glance, Glances
from ferryman.inspector import Inspector, QueueStats, queues_known
from ferryman.overview import figures_of, remarks
from ferryman.plan import Plan
from ferryman.task_view import moment
from ferryman.workers import WorkerRegistry, WorkerRow

_WORKERS_AT_MOST = 100
_HELD_AT_MOST = 10
_DEAD_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Picture:
    """A queue at about one moment; workers, what each holds, and dead tasks where they were asked for."""

    stats: QueueStats
    workers: Sequence[tuple[WorkerRow, Glances]] | None = None
    dead: Glances | None = None


def pictures(patterns: Sequence[str]) -> Plan[list[Picture]]:
    """Of the queues that one of `patterns` matches, with all details; without patterns the figures of all queues."""
    [known] = yield [queues_known()]
    figures = yield from figures_of(selected(known, patterns))
    if not patterns:
        return [Picture(stats) for stats in figures]
    found = []
    for stats in figures:
        inspector = Inspector(stats.queue)
        workers, dead = yield [WorkerRegistry(stats.queue).list(_WORKERS_AT_MOST), inspector.dead(_DEAD_AT_MOST)]
        held = yield [inspector.held(row.id, _HELD_AT_MOST) for row in workers]
        found.append(Picture(stats, list(zip(workers, held, strict=True)), dead))
    return found


def print_pictures(found: Sequence[Picture]) -> None:
    """A table of queues; below it, for each queue with details, its workers, what they hold, and its dead tasks."""
    print_figures([one.stats for one in found])
    for one in found:
        for row, held in one.workers or ():
            click.echo(
                f"\n{one.stats.queue}: worker {worker_name(row)}, {worker_state(row)}, "
                f"holds {row.active}/{row.concurrency}"
            )
            if held.tasks:
                rows = [(task.id, task.name, duration(task.since_s), run_of(task)) for task in held.tasks]
                print_table(("ID", "TASK", "HELD", "RUN"), rows, numeric=("HELD",))
            _print_more(held)
        if one.dead and one.dead.tasks:
            click.echo(f"\n{one.stats.queue}: {one.dead.total} dead, the newest first")
            lines = [(duration(task.since_s), task.name, task.id, first_line(task.error)) for task in one.dead.tasks]
            print_table(("DEAD FOR", "TASK", "ID", "ERROR"), lines, numeric=("DEAD FOR",))
            _print_more(one.dead)


def print_as_json(found: Sequence[Picture]) -> None:
    """One object with all queues; `worker_list` and `dead_tasks` are there where they were asked for."""
    print_json({"queues": [_view(one) for one in found]})


def _print_more(page: Glances) -> None:
    if more := page.total - len(page.tasks):
        click.echo(f"and {more:,} more")


def _view(one: Picture) -> dict[str, Any]:
    view = {**one.stats.to_json_dict(), "hold": one.stats.hold, "remarks": remarks(one.stats)}
    if one.workers is not None:
        view["worker_list"] = [_worker(row, held) for row, held in one.workers]
    if one.dead is not None:
        view["dead_tasks"] = [
            {**_task(task), "dead_s": task.since_s, "error": first_line(task.error)} for task in one.dead.tasks
        ]
    return view


def _worker(row: WorkerRow, held: Glances) -> dict[str, Any]:
    return {
        "id": row.id,
        "pod": row.pod,
        "state": worker_state(row).partition(",")[0],
        "active": row.active,
        "concurrency": row.concurrency,
        "app": row.app,
        "version": row.version,
        "started_at": moment(row.started_ms),
        "tasks": [{**_task(task), "held_s": task.since_s} for task in held.tasks],
    }


def _task(task: Glance) -> dict[str, Any]:
    return {"id": task.id, "task": task.name, "attempts_spent": task.attempt, "crashes": task.crashes}
