"""Taskiq on a Redis stream."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version

TASKIQ: Final = Peer(
    name="taskiq",
    runtime="Python",
    version=lambda: python_version(PYTHON, "taskiq"),
    producer=(str(PYTHON / "python"), program("taskiq_program.py"), "produce"),
    worker=lambda _, concurrency: (
        *(str(PYTHON / "taskiq"), "worker", "peers.programs.taskiq_program:broker", "--workers", "1"),
        *("--max-async-tasks", str(concurrency), "--log-level", "ERROR", "--no-parse"),
    ),
    waiting=("XLEN", "taskiq"),  # grows only: it tells that all were enqueued, not how fast they go
    tasks=8_000,
    concurrency=500,
    workloads=USUAL | {"enqueue-crowd"},
)
