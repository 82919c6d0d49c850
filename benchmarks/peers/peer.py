"""What the benchmark knows of a task queue: how to start its producer and its worker, and how to look at its queue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BENCHMARKS: Final = Path(__file__).parents[1]
PROGRAMS: Final = BENCHMARKS / "peers" / "programs"

#: Where `make bench-peers` puts what is not ours.
INSTALLED: Final = BENCHMARKS.parent / ".bench"

#: The Python of the venv with most peers.
PYTHON: Final = INSTALLED / "python" / "bin"

#: What most peers can be measured with.
DRAINS: Final = frozenset({"w1", "w1b"})
USUAL: Final = DRAINS | {
    *("enqueue-one", "latency-1", "latency-10", "latency-200", "latency-5000"),
    *("sleep", "kill", "start", "footprint"),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One task queue at its best settings.

    `version` is None when it is not installed. `worker` gives the command for a workload and a concurrency; the
    producer's arguments are those of `programs/marks.py`. `waiting` is the Redis command that tells how many tasks
    wait: what is measured is checked by it, from outside. `tasks` are so many no-ops that a run takes seconds.
    """

    name: str
    runtime: str
    version: Callable[[], str | None]
    producer: tuple[str, ...]
    worker: Callable[[str, int], tuple[str, ...]]
    waiting: tuple[str, ...]
    tasks: int
    concurrency: int  # for no-ops, the best of a coarse search
    workloads: frozenset[str] = USUAL
    kinds: Mapping[str, str] = field(default_factory=dict)  # a task's kind, where the peer has a name of its own for it
    modes: Mapping[str, str] = field(default_factory=dict)  # the same for the way to enqueue
    aside: tuple[str, ...] = ()  # what runs beside the workers where something is killed
    environment: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # what its platform adds, by workload

    def at_once(self, workload: str) -> int:
        """How many tasks a worker runs at the same time."""
        if workload == "sleep":
            return 100
        return 10 if workload.startswith(("kill", "latency")) else self.concurrency


def program(name: str) -> str:
    """The path of a program in `programs/`."""
    return str(PROGRAMS / name)


def python_version(python: Path, package: str) -> str | None:
    """The version of a package in the venv of that folder, None without one."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return first_line([str(python / "python"), "-c", code])


def first_line(command: Sequence[str]) -> str | None:
    """What a short command prints first, or None when there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


def own_python() -> str:
    """The Python that runs this."""
    return sys.executable
