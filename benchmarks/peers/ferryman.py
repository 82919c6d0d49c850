"""Ferryman as it is installed here, with all defaults on: in the loop, in threads, and in processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from peers.peer import USUAL, Peer, own_python, program

from ferryman.version import __version__


def _worker(app: str, concurrency: int) -> tuple[str, ...]:
    command = (own_python(), "-m", "ferryman", "worker", "bench", "--app", f"peers.programs.{app}")
    return (*command, "--concurrency", str(concurrency))


FERRYMAN: Final = Peer(
    name="ferryman",
    runtime="Python",
    version=lambda: __version__,
    producer=(own_python(), program("ferryman_program.py"), "produce"),
    worker=lambda _, concurrency: _worker("ferryman_program", concurrency),
    waiting=("LLEN", "ferryman:{bench}:waiting"),
    tasks=100_000,
    concurrency=100,
    workloads=USUAL | {"enqueue-many", "enqueue-crowd", "enqueue-sync", "kill-unseen"},
    modes={"enqueue-sync": "sync"},
    aside=(own_python(), "-m", "ferryman", "scheduler", "--queue", "bench"),
    environment={"FERRYMAN_PORT": "0"},
    # As the operator's pods have it: what starts again there is the same container, and its slot's lock proves the end.
    places={
        "kill": {
            "FERRYMAN_POD_UID": "bench",
            "FERRYMAN_CONTAINER": "worker",
            "FERRYMAN_RUN_DIR": "{FOLDER}",
            "FERRYMAN_TERMINATION_LOG": "{FOLDER}/termination-log",
        }
    },
)

THREADS: Final = replace(
    FERRYMAN,
    name="ferryman-threads",
    tasks=20_000,
    concurrency=10,
    workloads=frozenset({"sync"}),
    kinds={"noop": "noop_thread"},
)

PROCESSES: Final = replace(
    FERRYMAN,
    name="ferryman-processes",
    producer=(own_python(), program("ferryman_processes.py"), "produce"),
    worker=lambda _, concurrency: _worker("ferryman_processes", concurrency),
    tasks=10_000,
    concurrency=2,
    workloads=frozenset({"pool"}),
    kinds={"noop": "noop_process"},
)
