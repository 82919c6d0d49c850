"""Figures: a table with a line per queue, as `ferryman stats` and `ferryman top --once` print it."""

from __future__ import annotations

from collections.abc import Sequence

from ferryman.cli.output import duration, print_table
from ferryman.inspector import QueueStats
from ferryman.overview import remarks

_HEADINGS = (
    *("QUEUE", "WAITING", "ACTIVE", "DELAYED", "BLOCKED", "DEAD"),
    *("COMPLETED", "FAILED", "WORKERS", "OLDEST", "REMARKS"),
)


def print_figures(figures: Sequence[QueueStats]) -> None:
    """The table."""
    rows = [
        (
            one.queue,
            one.waiting,
            one.active,
            one.delayed,
            one.blocked,
            one.dead,
            one.completed,
            one.failed,
            one.workers,
            oldest_waiting(one),
            remarks(one),
        )
        for one in figures
    ]
    print_table(_HEADINGS, rows, numeric=_HEADINGS[1:-1])


def oldest_waiting(stats: QueueStats) -> str:
    """How long the oldest waiting task has waited; `-` when none waits."""
    return duration(stats.oldest_waiting_s) if stats.waiting else "-"
