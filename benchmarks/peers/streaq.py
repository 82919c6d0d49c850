"""streaq, on uvloop."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version

STREAQ: Final = Peer(
    name="streaq",
    runtime="Python",
    version=lambda: python_version(PYTHON, "streaq"),
    producer=(str(PYTHON / "python"), program("streaq_program.py"), "produce"),
    worker=lambda *_: (str(PYTHON / "streaq"), "run", "peers.programs.streaq_program:worker"),
    waiting=("XLEN", "streaq:default:queues:normal"),
    tasks=4_000,
    concurrency=16,
    workloads=USUAL | {"enqueue-many", "enqueue-crowd"},
)
