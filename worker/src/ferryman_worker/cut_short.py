"""Cut short: what a stop or a cancellation means for the task that it met: active -> waiting, or it is no more.

The same for a handler's run and for what a task waits for before it runs or is put aside. A task whose code was
stopped has no outcome: it goes back when its worker says so. One that somebody has cancelled ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Literal, TypeVar

from ferryman.protocol import Delivery
from ferryman.retry import Retry
from ferryman_worker.acker import Acker
from ferryman_worker.outcome import ChildDied, NurseryGone
from ferryman_worker.pool import Pool
from ferryman_worker.slot import Slot
from ferryman_worker.threads import Interrupted

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: What a coroutine, a thread and a child process end with when they are stopped.
STOPS = (asyncio.CancelledError, Interrupted, ChildDied)


class CutShort:
    """For the tasks of one queue. `where` is what a record says of a task; `pool` gets back what was stopped."""

    def __init__(self, acker: Acker, where: Callable[[Delivery], Mapping[str, object]]) -> None:
        self._acker = acker
        self._where = where
        self.pool: Pool | None = None

    def by(self, slot: Slot, delivery: Delivery, error: BaseException) -> Literal["stop", "cancel"] | None:
        """What has ended the task, if that is what `error` tells: then it has left."""
        if isinstance(error, NurseryGone) or (slot.stopping and _stems_from_a_stop(error)):
            assert self.pool is not None
            logger.info("%s was stopped before its end: it goes back", delivery.name, extra=self._where(delivery))
            self.pool.stopped(delivery)
            return "stop"
        if slot.cancelled:
            logger.info("%s was cancelled, and stopped", delivery.name, extra=self._where(delivery))
            self._acker.cancelled(delivery)
            return "cancel"
        return None

    async def unless(self, slot: Slot, delivery: Delivery, wait: Awaitable[T]) -> T | None:
        """What `wait` brings, with which the slot goes on; None when it was cut short, and the task has left."""
        started = perf_counter()
        slot.timeout_s, slot.interrupt = None, slot.task.cancel
        slot.suspended()
        try:
            return await wait
        except asyncio.CancelledError as error:
            slot.ended(perf_counter() - started)
            if self.by(slot, delivery, error) is None:
                self._acker.give_back([delivery])  # by nobody who may: nothing is known of the task, and nothing spent
            return None


def _stems_from_a_stop(error: BaseException) -> bool:
    """Whether this is what stopping raises, or came up on the way out of it.

    All else is the handler's own word, which was only heard late: a thread or a child may have failed just before it
    was stopped, and running it again would spend nothing for what has happened.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, STOPS):
        seen = seen.__context__
    return seen is not None and not isinstance(error, Retry)
