"""Huey: four threads."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version

HUEY: Final = Peer(
    name="huey",
    runtime="Python",
    version=lambda: python_version(PYTHON, "huey"),
    producer=(str(PYTHON / "python"), program("huey_program.py"), "produce"),
    worker=lambda _, concurrency: (
        *(str(PYTHON / "huey_consumer"), "peers.programs.huey_program.huey"),
        *("-w", str(concurrency), "-k", "thread", "-q"),
    ),
    waiting=("LLEN", "huey.redis.b"),
    tasks=8_000,
    concurrency=4,
    workloads=USUAL | {"sync"},
)
