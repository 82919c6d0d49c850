"""Every command that Ferryman has, installed or not: what `ferryman --help` lists without importing any.

Ferryman's own commands are named here, with where their code is: an image carries only the commands of the
distributions that are in it. Other distributions may bring more through the entry-point group `ferryman.commands`;
these are looked for only when they are asked for, because that reads the metadata of everything that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "ferryman.commands"


@dataclass(frozen=True, slots=True)
class Known:
    """A command of Ferryman's own: `code` is "module:name", and `install` the line that brings it."""

    section: str
    summary: str
    code: str
    install: str = "pip install ferryman"

    @property
    def is_installed(self) -> bool:
        """Whether its distribution is there."""
        return find_spec(self.code.partition(".")[0]) is not None


_WORKER = "pip install 'ferryman[worker]'"
_SCHEDULER = "pip install ferryman-scheduler"

#: In the order of the help page.
KNOWN: Final[Mapping[str, Known]] = {
    "enqueue": Known("Tasks", "Put tasks into a queue.", "ferryman.cli.enqueue:enqueue"),
    "show": Known("Tasks", "Show one task: state, arguments, attempts, error.", "ferryman.cli.show:show"),
    "tasks": Known("Tasks", "List the tasks of a queue that are in one state.", "ferryman.cli.tasks:tasks"),
    "workflow": Known("Tasks", "Show a workflow: its nodes and their states.", "ferryman.cli.workflow:workflow"),
    "cancel": Known("Tasks", "Cancel a task, waiting or running.", "ferryman.cli.cancel:cancel"),
    "revive": Known("Tasks", "Move dead tasks back to waiting.", "ferryman.cli.revive:revive"),
    "stats": Known("Queues", "Show the figures of queues.", "ferryman.cli.stats:stats"),
    "schedules": Known(
        "Queues", "List the schedules of a queue, with last and next occurrence.", "ferryman.cli.schedules:schedules"
    ),
    "fire": Known("Queues", "Enqueue the task of a schedule now.", "ferryman.cli.schedules:fire"),
    "lanes": Known("Queues", "List the busiest lanes, and what holds them back.", "ferryman.cli.lanes:lanes"),
    "hold": Known("Queues", "Stop workers from fetching; nothing is lost.", "ferryman.cli.hold:hold"),
    "resume": Known("Queues", "Let workers fetch again.", "ferryman.cli.hold:resume"),
    "purge": Known(
        "Queues", "Discard the blocked, waiting, delayed and dead tasks of a queue.", "ferryman.cli.purge:purge"
    ),
    "reset": Known("Queues", "The same as purge.", "ferryman.cli.purge:reset"),
    "top": Known("Queues", "Watch queues and workers live in the terminal.", "ferryman.cli.top:top"),
    "dev": Known("Run", "Run all queues of an app on this machine, with nothing to install.", "ferryman.cli.dev:dev"),
    "worker": Known("Run", "Run the tasks of a queue.", "ferryman_worker.command:worker", _WORKER),
    "scheduler": Known(
        "Run",
        "Promote due tasks, fire schedules, and recover the tasks of dead workers.",
        "ferryman_scheduler.command:scheduler",
        _SCHEDULER,
    ),
    "recover": Known(
        "Run", "Recover the tasks of dead workers, one pass.", "ferryman_scheduler.command:recover", _SCHEDULER
    ),
    "api": Known("Run", "Serve the HTTP API.", "ferryman.cli.api:api"),
    "crash-test": Known(
        "Run", "Kill workers on purpose, and prove that nothing was lost.", "ferryman.cli.crash_test:crash_test"
    ),
}


@cache
def brought() -> Mapping[str, EntryPoint]:
    """The commands that other distributions brought, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP) if point.name not in KNOWN}
