"""Promoter: moves due tasks from delayed to waiting.

Crash-safe: the move is one script, so a task is in exactly one place. Several promoters may run; the second finds
nothing to move. A storm of due tasks goes in bounded batches, between which other queues have their turn.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman_scheduler.chore import Tally, Visit, ask, share

logger = logging.getLogger(__name__)

#: The longest pause: a task that comes in meanwhile may be due at once, and this is how late it can be.
TICK_S: Final = 0.25


class Promoter:
    """Promotes for any number of queues."""

    name = "promote"

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """One batch of each queue."""
        visit = Visit()
        calls = [(queue, Broker(queue).promote(share(len(queues)))) for queue in queues]
        for queue, reply in await ask(link, visit, calls):
            self._tally.promoted(queue, reply.count, reply.lag_ms)
            if reply.count:
                logger.debug("promoted %d tasks", reply.count, extra={"queue": queue})
            visit.pauses_s[queue] = _pause_s(reply.next_due_ms, reply.now_ms)
        return visit


def _pause_s(next_due_ms: int | None, now_ms: int) -> float:
    """Until the next task is due, at most a tick; none while tasks that are due are left."""
    if next_due_ms is None:
        return TICK_S
    return min(TICK_S, max(0.0, (next_due_ms - now_ms) / 1000))
