"""What a snapshot shows of a task's history."""

from __future__ import annotations

import json

from ferryman_bench.snapshot import MOMENT


def past_run(attempt: int, outcome: str, error: str = "", *, run_ms: int | None = None, worker: str = "w") -> str:
    """A line of field `history`, with the moments that a snapshot hides."""
    line = {"attempt": attempt, "started_ms": MOMENT, "ended_ms": MOMENT, "run_ms": run_ms}
    return json.dumps(line | {"outcome": outcome, "worker": worker, "error": error}, separators=(",", ":"))
