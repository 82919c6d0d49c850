"""asynq, the fastest queue of Go: the other one to beat."""

from __future__ import annotations

from typing import Final

from peers.peer import BENCHMARKS, INSTALLED, USUAL, Peer

_PROGRAM: Final = INSTALLED / "asynq"


def _version() -> str | None:
    if not _PROGRAM.exists():
        return None
    module = (BENCHMARKS / "peers" / "asynq" / "go.mod").read_text()
    return module.split("hibiken/asynq v", 1)[1].split()[0]


ASYNQ: Final = Peer(
    name="asynq",
    runtime="Go",
    version=_version,
    producer=(str(_PROGRAM), "produce"),
    worker=lambda *_: (str(_PROGRAM), "work"),
    waiting=("LLEN", "asynq:{default}:pending"),
    tasks=30_000,
    concurrency=100,
    workloads=USUAL | {"enqueue-crowd"},
)
