"""Accord: which queues this scheduler may work on: those whose data and workers speak a protocol that it understands.

A queue's number follows the scheduler's, upwards, so upgrading the chart is what moves a queue on. A queue that is too
far away is left alone until somebody has upgraded what the log names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ferryman.link import Link
from ferryman.workers import WorkerRegistry
from ferryman_scheduler.chore import Visit, ask

#: Between looks at a queue; one that was refused is looked at as often.
LOOK_EVERY_S: Final = 5.0


class Accord:
    """Asks each queue first, and again and again. Calling it gives the queues that may be worked on."""

    name = "protocol"

    def __init__(self, queues: Callable[[], Sequence[str]]) -> None:
        self._queues = queues
        self._agreed: set[str] = set()

    def __call__(self) -> Sequence[str]:
        """The queues with which there is an accord."""
        return [queue for queue in self._queues() if queue in self._agreed]

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """Ask each queue once; a refusal says what is to be upgraded."""
        visit = Visit()
        agreed = await ask(link, visit, [(queue, WorkerRegistry(queue).speak()) for queue in queues])
        self._agreed -= visit.refusals.keys()
        self._agreed |= {queue for queue, _ in agreed}
        visit.pauses_s = dict.fromkeys(queues, LOOK_EVERY_S)
        return visit
