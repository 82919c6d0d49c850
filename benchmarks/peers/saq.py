"""SAQ, on uvloop."""

from __future__ import annotations

from typing import Final

from peers.peer import PYTHON, USUAL, Peer, program, python_version

SAQ: Final = Peer(
    name="saq",
    runtime="Python",
    version=lambda: python_version(PYTHON, "saq"),
    producer=(str(PYTHON / "python"), program("saq_program.py"), "produce"),
    worker=lambda *_: (str(PYTHON / "saq"), "peers.programs.saq_program.settings", "--quiet"),
    waiting=("LLEN", "saq:default:queued"),
    tasks=5_000,
    concurrency=10,
    workloads=USUAL | {"enqueue-crowd"},
)
