"""Celery, where its users come from: processes, and threads for what only waits."""

from __future__ import annotations

import time
from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version


def _worker(workload: str, concurrency: int) -> tuple[str, ...]:
    pool = "threads" if workload in ("sleep", "sync") else "prefork"
    return (
        *(str(PYTHON / "celery"), "-A", "peers.programs.celery_program", "worker", "-P", pool, "-c", str(concurrency)),
        *("-l", "error", "-n", f"w{time.time_ns()}", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


CELERY: Final = Peer(
    name="celery",
    runtime="Python",
    version=lambda: python_version(PYTHON, "celery"),
    producer=(str(PYTHON / "python"), program("celery_program.py"), "produce"),
    worker=_worker,
    waiting=("LLEN", "celery"),
    tasks=3_000,
    concurrency=2,
    workloads=USUAL | {"sync", "pool"},
)
