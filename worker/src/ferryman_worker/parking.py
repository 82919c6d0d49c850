"""Parking: tasks that this worker can't run are put aside for one that can: active -> delayed, no attempt spent.

A name that is not known here, and arguments that don't fit the handler here. Whether a park is counted, and whether
there is one at all, depends on who else can run the task: see `versions` and `outcome`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from ferryman.handler import AnyHandler
from ferryman.protocol import Delivery
from ferryman_worker.acker import Acker
from ferryman_worker.counters import Counters
from ferryman_worker.cut_short import CutShort
from ferryman_worker.outcome import DeadLetter, Park, unfit, unknown_name
from ferryman_worker.slot import Slot
from ferryman_worker.versions import Able, Versions

logger = logging.getLogger(__name__)


class Parking:
    """For the tasks of one queue. Without `versions` nobody else is known; `where` is what a record says of a task."""

    def __init__(
        self,
        acker: Acker,
        counters: Counters,
        versions: Versions | None,
        cut_short: CutShort,
        where: Callable[[Delivery], Mapping[str, object]],
    ) -> None:
        self._acker = acker
        self._counters = counters
        self._versions = versions
        self._cut_short = cut_short
        self._where = where

    async def unknown(self, slot: Slot, delivery: Delivery) -> None:
        """No handler here has its name: parked, or dead when that was so for too long."""
        if (able := await self._able(slot, delivery, None)) is not None:
            name, queue = delivery.name, self._counters.queue
            self._put_aside(delivery, unknown_name(name, queue, delivery.parks, able, delivery.token))

    async def unfit(self, slot: Slot, delivery: Delivery, handler: AnyHandler, problem: str) -> bool:
        """Its arguments don't fit the handler here. False when they fit no other version either."""
        if (able := await self._able(slot, delivery, handler)) is None:
            return True
        park = unfit(problem, delivery.parks, able, delivery.token)
        if park is not None:
            self._put_aside(delivery, park)
        return park is not None

    async def _able(self, slot: Slot, delivery: Delivery, handler: AnyHandler | None) -> Able | None:
        """None when the task was cut short meanwhile, and has left."""
        if self._versions is None:
            return Able.NONE
        own = None if handler is None else handler.schema()
        able = await self._cut_short.unless(slot, delivery, self._versions.able(delivery.name, own, delivery.args))
        if able is not None:
            slot.ended(0.0)
        return able

    def _put_aside(self, delivery: Delivery, verdict: Park | DeadLetter) -> None:
        counters = self._counters.of(delivery.name)
        if isinstance(verdict, DeadLetter):
            counters.dead += 1
        else:
            counters.parked += 1
        logger.warning("put aside: %s", verdict.error, extra=self._where(delivery))
        self._acker.fail(delivery, verdict, 0.0)
