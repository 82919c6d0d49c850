"""Janitor: forgets kept statuses and discards dead tasks when their retention is over (completed, dead -> gone), and
tasks that no worker has fetched before their deadline (waiting, delayed, blocked -> discarded).

It also goes round the lanes of a queue: repairs what damage left there, and applies limits that have changed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.protocol import Expired
from ferryman_scheduler.chore import Tally, Visit, ask, share

logger = logging.getLogger(__name__)

#: Between trims when nothing is over: a changed retention counts within five seconds.
TRIM_EVERY_S: Final = 4.0

#: Between looks at deadlines, while there are some.
EXPIRE_EVERY_S: Final = 0.5


class Janitor:
    """Trims for any number of queues."""

    name = "trim"

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._passed: dict[str, tuple[int, int]] = {}  # queue -> lanes and blocked tasks that the last visits have seen

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """One batch of each queue."""
        visit, limit = Visit(), share(len(queues))
        for queue, reply in await ask(link, visit, [(queue, Broker(queue).trim(limit)) for queue in queues]):
            self._tally.trimmed(queue, reply.completed, reply.dead)
            if reply.dead:
                logger.info("discarded %d dead tasks: their retention is over", reply.dead, extra={"queue": queue})
            visit.pauses_s[queue] = 0.0 if limit in (reply.completed, reply.dead) else TRIM_EVERY_S
        for queue, expired in await ask(link, visit, [(queue, Broker(queue).expire(limit)) for queue in queues]):
            if expired.count:
                logger.info("discarded %d tasks: their deadline passed", expired.count, extra={"queue": queue})
            if queue in visit.pauses_s:
                visit.pauses_s[queue] = min(visit.pauses_s[queue], _pause_s(expired, limit))
        mends = [(queue, Broker(queue).mend_lanes(limit, *self._passed.get(queue, (0, 0)))) for queue in queues]
        for queue, mended in await ask(link, visit, mends):
            if mended.count:
                logger.warning("repaired %d places in lanes", mended.count, extra={"queue": queue})
            if mended.lanes < 0 and mended.blocked < 0:
                self._passed.pop(queue, None)
            else:
                self._passed[queue] = (mended.lanes, mended.blocked)
        return visit


def _pause_s(expired: Expired, limit: int) -> float:
    """Until the next deadline passes, if that is worth a visit of its own: tasks may have one each, and meet it."""
    if expired.seen == limit:
        return 0.0
    if expired.next_ms is None:
        return TRIM_EVERY_S
    return max(EXPIRE_EVERY_S, (expired.next_ms - expired.now_ms) / 1000)
