"""Advancer: moves workflows on where the end of a node sets off more than its script may do (blocked -> waiting or
discarded).

Crash-safe: what is still to be done stands in a list in Redis, and each step of it is one script's. Several may run.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman_scheduler.chore import Visit, ask, share

logger = logging.getLogger(__name__)

#: Between looks when there is nothing to do. Most workflows never need this: an exit moves a hundred nodes on itself.
TICK_S: Final = 0.5


class Advancer:
    """Advances the workflows of any number of queues."""

    name = "advance"

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """One batch of each queue."""
        visit, limit = Visit(), share(len(queues))
        for queue, reply in await ask(link, visit, [(queue, Broker(queue).advance(limit)) for queue in queues]):
            if reply.abandoned:
                logger.warning("discarded %d half-sent workflows", reply.abandoned, extra={"queue": queue})
            visit.pauses_s[queue] = 0.0 if reply.left else TICK_S
        return visit
