"""Details: the lower list as a table: the chosen queue's workers and what they hold, its dead tasks, or its lanes.

Keys are `w:<worker>`, `t:<task>` and `l:<lane>`; `more:` ends a list that is longer than what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ferryman.dev.top.columns import Layout, by_width
from ferryman.dev.top.readings import Pane, Reading
from ferryman.dev.top.rows import Table, nothing
from ferryman.dev.top.tables import dead_columns, held_columns, lane_columns, worker_columns
from ferryman.glance import Glances
from ferryman.lane_figures import LaneFigures
from ferryman.workers import WorkerRow

R = TypeVar("R")

_MORE = "more:"
_WORKERS = by_width(worker_columns())
_HELD = by_width(held_columns())
_DEAD = by_width(dead_columns())
_LANES = by_width(lane_columns())


def worker_of(key: str | None, before: str | None) -> str | None:
    """The chosen worker when the cursor stands on `key`: a worker's own line, or one of what it holds."""
    return key[2:] if key and key.startswith("w:") else before


def task_of(key: str | None) -> str | None:
    """The task that `key` stands for."""
    return key[2:] if key and key.startswith("t:") else None


def tabs(pane: Pane, workers: int | None, dead: int | None) -> str:
    """What the lower list shows, and the key for what it could show."""
    names = {
        Pane.WORKERS: ("w", f"workers {_count(workers)}"),
        Pane.DEAD: ("e", f"dead {_count(dead)}"),
        Pane.LANES: ("l", "lanes"),
    }
    return "   ".join(f"[{name}]" if one is pane else f"{key} {name}" for one, (key, name) in names.items())


def details(pane: Pane, reading: Reading | None, chosen: str | None, worker: str | None) -> Table:
    """The table for the chosen queue; empty, with a word why, until it was read."""
    if chosen is None:
        return nothing("")
    if reading is None or reading.view.chosen != chosen or reading.view.pane is not pane:
        return nothing("reading…")
    if pane is Pane.DEAD:
        return _dead(reading.dead)
    if pane is Pane.LANES:
        return _lanes(reading.lanes)
    return _workers(reading, worker)


def by_name(workers: Sequence[WorkerRow]) -> list[WorkerRow]:
    """Those that are silent or declared dead first; apart from that a list that stands still."""
    return sorted(workers, key=lambda row: (row.deadline_ms != 0 and row.left_ms >= 0, row.id))


def _workers(reading: Reading, worker: str | None) -> Table:
    if reading.workers is None:
        return nothing("the workers can't be read")
    rows = {f"w:{row.id}": row for row in by_name(reading.workers)}
    held = reading.held if reading.view.worker == worker else None
    tasks = {f"t:{task.id}": task for task in (held.tasks if held else ())}
    more = held.total - len(tasks) if held else 0
    keys: list[str] = []
    for key in rows:
        keys.append(key)
        if key == f"w:{worker}":
            keys += [*tasks, *([_MORE] if more else [])]

    def line(key: str, width: int) -> str:
        if key == _MORE:
            return f"  and {more:,} more"
        if key in tasks:
            return _HELD(width).line(tasks[key])
        return _WORKERS(width).line(rows[key])

    return Table(keys, lambda width: _WORKERS(width).heading(), line, "no workers")


def _dead(dead: Glances | None) -> Table:
    if dead is None:
        return nothing("the dead tasks can't be read")
    return _listed({f"t:{task.id}": task for task in dead.tasks}, dead.total, _DEAD, "no dead tasks")


def _lanes(figures: LaneFigures | None) -> Table:
    if figures is None:
        return nothing("the lanes can't be read")
    return _listed({f"l:{row.lane}": row for row in figures.busiest}, figures.lanes, _LANES, "no tasks stand in lanes")


def _listed(rows: Mapping[str, R], of: int, layout: Callable[[int], Layout[R]], empty: str) -> Table:
    """These rows, and how many there are beyond them `of` all."""
    more = of - len(rows)

    def line(key: str, width: int) -> str:
        return f"and {more:,} more" if key == _MORE else layout(width).line(rows[key])

    return Table([*rows, *([_MORE] if more > 0 else [])], lambda width: layout(width).heading(), line, empty)


def _count(number: int | None) -> str:
    return "…" if number is None else f"{number:,}"
