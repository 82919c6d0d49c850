"""Every command that Ferryman has, installed or not: what `ferryman --help` lists without importing any.

A command itself is found through the entry-point group `ferryman.commands`, so an image carries only the
commands of the distributions that are in it, and other distributions may bring commands of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "ferryman.commands"


@dataclass(frozen=True, slots=True)
class Known:
    """A command of Ferryman's own. `install` is the line that brings it."""

    section: str
    summary: str
    install: str = "pip install ferryman"


_WORKER = "pip install 'ferryman[worker]'"
_SCHEDULER = "pip install ferryman-scheduler"

#: In the order of the help page.
KNOWN: Final[Mapping[str, Known]] = {
    "enqueue": Known("Tasks", "Put tasks into a queue."),
    "show": Known("Tasks", "Show one task: state, arguments, attempts, error."),
    "tasks": Known("Tasks", "List the tasks of a queue that are in one state."),
    "cancel": Known("Tasks", "Discard a task that has not started."),
    "revive": Known("Tasks", "Move dead tasks back to waiting."),
    "stats": Known("Queues", "Show the figures of queues."),
    "hold": Known("Queues", "Stop workers from fetching; nothing is lost."),
    "resume": Known("Queues", "Let workers fetch again."),
    "purge": Known("Queues", "Discard the waiting, delayed and dead tasks of a queue."),
    "reset": Known("Queues", "The same as purge."),
    "top": Known("Queues", "Watch queues and workers live in the terminal."),
    "dev": Known("Run", "Run all queues of an app on this machine, with nothing to install."),
    "worker": Known("Run", "Run the tasks of a queue.", _WORKER),
    "scheduler": Known("Run", "Promote due tasks and recover those of dead workers.", _SCHEDULER),
    "recover": Known("Run", "Recover the tasks of dead workers, one pass.", _SCHEDULER),
    "api": Known("Run", "Serve the HTTP API."),
    "crash-test": Known("Run", "Kill workers on purpose, and prove that nothing was lost."),
}


@cache
def installed() -> Mapping[str, EntryPoint]:
    """The commands that are installed, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}
