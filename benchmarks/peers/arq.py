"""arq, on uvloop, asking every 10 ms; in a venv of its own, for it wants an older redis-py."""

from __future__ import annotations

from typing import Final

from peers.peer import INSTALLED, USUAL, Peer, program, python_version

_BIN: Final = INSTALLED / "arq" / "bin"

ARQ: Final = Peer(
    name="arq",
    runtime="Python",
    version=lambda: python_version(_BIN, "arq"),
    producer=(str(_BIN / "python"), program("arq_program.py"), "produce"),
    worker=lambda *_: (str(_BIN / "arq"), "peers.programs.arq_program.WorkerSettings"),
    waiting=("ZCARD", "arq:queue"),
    tasks=5_000,
    concurrency=100,
    workloads=USUAL - {"kill"} | {"enqueue-crowd"},
)
