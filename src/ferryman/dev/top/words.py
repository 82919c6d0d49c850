"""Words for a person: what `ferryman top` says of workers and tasks, live and with --once. Needs no terminal."""

from __future__ import annotations

from ferryman.cli.harmless import harmless
from ferryman.cli.output import duration
from ferryman.glance import Glance
from ferryman.workers import WorkerRow


def first_line(text: str) -> str:
    """What happened; where it happened comes after it."""
    return harmless(text.partition("\n")[0])


def worker_name(row: WorkerRow) -> str:
    """The worker's id, with its pod's name instead of that one's uid."""
    parts = row.id.rsplit(".", 2)
    return harmless(".".join([row.pod, *parts[1:]]) if row.pod and len(parts) == 3 else row.id)


def worker_state(row: WorkerRow) -> str:
    """Whether it lives."""
    if row.deadline_ms == 0:
        return "dead, being recovered"
    if row.left_ms < 0:
        return f"silent, late by {duration(-row.left_ms / 1000)}"
    return "draining" if row.draining else "alive"


def run_of(task: Glance) -> str:
    """Which attempt it is, and what died with it before."""
    crashes = f", crashed {task.crashes}x" if task.crashes else ""
    return f"attempt {task.attempt + 1}{crashes}"
