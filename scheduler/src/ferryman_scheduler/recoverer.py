"""Recoverer: takes tasks back from dead workers (active -> waiting, or dead) and lost hand-overs (handed -> waiting).

It never decides that a worker is dead: it looks, at regular intervals, and the script draws the conclusion from
several looks. So any number of recoverers may run, and one that dies in between only delays a verdict.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from ferryman.broker import Broker
from ferryman.cause import Cause
from ferryman.link import Link
from ferryman.protocol import Recovery
from ferryman.recovery_log import tell_recovered
from ferryman.workers import WorkerRegistry
from ferryman_scheduler.chore import Tally, Visit, ask, share

logger = logging.getLogger(__name__)

#: Between looks. They must lie 0.4 s apart to count, and death takes three of them within two beats of a worker.
LOOK_EVERY_S: Final = 0.6

#: Workers looked at in one round trip.
WORKERS_AT_ONCE: Final = 20


class Recoverer:
    """Recovers for any number of queues."""

    name = "recover"

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        #: Silent workers without a verdict yet, by queue, as of the last visit.
        self.suspected: dict[str, set[str]] = {}

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """One look at every silent worker and at `handed` of each queue."""
        visit = Visit()
        limit = share(len(queues))
        for queue, count in await ask(link, visit, [(queue, Broker(queue).recover_handed(limit)) for queue in queues]):
            self._tally.handed_back(queue, count)
            if count:
                logger.warning("%d hand-overs were lost; their tasks wait again", count, extra={"queue": queue})
        looks = [(queue, WorkerRegistry(queue).look()) for queue in queues]
        silent: list[tuple[str, str]] = []
        for queue, workers in await ask(link, visit, looks):
            visit.pauses_s[queue] = LOOK_EVERY_S
            self.suspected[queue] = set()
            silent += [(queue, worker) for worker in workers]
        for start in range(0, len(silent), WORKERS_AT_ONCE):
            await self._look_at(link, visit, silent[start : start + WORKERS_AT_ONCE])
        return visit

    async def _look_at(self, link: Link, visit: Visit, silent: Sequence[tuple[str, str]]) -> None:
        replies = await link.run_all([Broker(queue).recover(worker, share(len(silent))) for queue, worker in silent])
        for (queue, worker), reply in zip(silent, replies, strict=True):
            if not isinstance(reply, Recovery):
                visit.refusals[queue] = reply  # the others of this queue must not wait for it
            elif reply.verdict == "suspected":
                self.suspected[queue].add(worker)
            elif reply.verdict == "dead":
                self._tally.recovered(queue, reply.waiting, reply.dead, reply.cause or Cause.OTHER)
                _tell(queue, worker, reply)
                tell_recovered(logger, queue, worker, reply)
                if reply.left:
                    visit.pauses_s[queue] = 0.0


def _tell(queue: str, worker: str, reply: Recovery) -> None:
    logger.warning(
        "worker is dead (%s): %d of its tasks wait again, %d went to dead, %d to go",
        reply.cause,
        reply.waiting,
        reply.dead,
        reply.left,
        extra={"queue": queue, "worker": worker},
    )
