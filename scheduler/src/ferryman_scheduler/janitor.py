"""Janitor: forgets kept statuses and discards dead tasks when their retention is over (completed, dead -> gone)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman_scheduler.chore import Tally, Visit, ask, share

logger = logging.getLogger(__name__)

#: Between trims when nothing is over.
TRIM_EVERY_S: Final = 5.0


class Janitor:
    """Trims for any number of queues."""

    name = "trim"

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """One batch of each queue."""
        visit, limit = Visit(), share(len(queues))
        for queue, reply in await ask(link, visit, [(queue, Broker(queue).trim(limit)) for queue in queues]):
            self._tally.trimmed(queue, reply.completed, reply.dead)
            if reply.dead:
                logger.info("discarded %d dead tasks: their retention is over", reply.dead, extra={"queue": queue})
            visit.pauses_s[queue] = 0.0 if limit in (reply.completed, reply.dead) else TRIM_EVERY_S
        return visit
