"""Dramatiq: threads in one process, 32 for no-ops."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version

DRAMATIQ: Final = Peer(
    name="dramatiq",
    runtime="Python",
    version=lambda: python_version(PYTHON, "dramatiq"),
    producer=(str(PYTHON / "python"), program("dramatiq_program.py"), "produce"),
    worker=lambda _, concurrency: (
        *(str(PYTHON / "dramatiq"), "peers.programs.dramatiq_program"),
        *("-p", "1", "-t", str(concurrency), "--skip-logging"),
    ),
    waiting=("LLEN", "dramatiq:default"),
    tasks=10_000,
    concurrency=32,
    workloads=USUAL | {"sync"},
)
