"""BullMQ, the fastest queue of Node: one of the two to beat."""

from __future__ import annotations

import json
import shutil
from typing import Final

from peers.peer import INSTALLED, USUAL, Peer, program

_MODULES: Final = INSTALLED / "node" / "node_modules"


def _version() -> str | None:
    manifest = _MODULES / "bullmq" / "package.json"
    if not manifest.exists() or not shutil.which("node"):
        return None
    return str(json.loads(manifest.read_text())["version"])


BULLMQ: Final = Peer(
    name="bullmq",
    runtime="Node",
    version=_version,
    producer=("node", program("bullmq_program.cjs"), "produce"),
    worker=lambda *_: ("node", program("bullmq_program.cjs"), "work"),
    waiting=("LLEN", "bull:b:wait"),
    tasks=30_000,
    concurrency=200,
    workloads=USUAL | {"enqueue-many", "enqueue-crowd"},
    environment={"NODE_PATH": str(_MODULES)},
)
