"""Recovery log: one record for every task that was taken back from a dead worker, so that its story has no gap."""

from __future__ import annotations

import logging
from typing import Final

from ferryman.protocol import Recovery

_WORDS: Final = {
    "recovered": "recovered: its worker died, and it waits again",
    "crashed": "crashed: its worker died of it, as it seems, and it waits again",
    "dead": "is dead: its workers died too often",
}


def tell_recovered(logger: logging.Logger, queue: str, worker: str, recovery: Recovery) -> None:
    """`worker` is the one that died. Dead tasks are errors; what only waits again is worth a look."""
    for task_id, outcome in recovery.tasks:
        where = {"task_id": task_id, "queue": queue, "worker": worker, "cause": str(recovery.cause or "unknown")}
        level = {"dead": logging.ERROR, "crashed": logging.WARNING}.get(outcome, logging.INFO)
        logger.log(level, "task %s", _WORDS.get(outcome, outcome), extra=where)
