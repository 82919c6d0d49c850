"""Slot: one of the places where a task runs, as one long-lived asyncio task.

A slot takes what was fetched ahead, one task after another, as long as they never wait. When one waits, the
slot stays with it and another slot goes on. So no-op tasks cost no asyncio task each, and slow ones run side
by side, at most as many as there are slots.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ferryman.protocol import Delivery

if TYPE_CHECKING:
    from ferryman_worker.pool import Pool

logger = logging.getLogger(__name__)

#: A slot gives the loop to others after this much work without a wait.
_SLICE_S = 0.002
_SLICE_TASKS = 100
#: A coroutine that was cancelled, or has had its time, may clean up for so long; then it is cancelled again, and again.
CLEAN_UP_S = 5.0
AGAIN_EVERY_S = 1.0


class Slot:
    """What runs here now, and how to stop it."""

    __slots__ = (
        *("_busy_s", "_pool", "_streak", "_timer", "delivery", "interrupt"),
        *("cancelled", "stopping", "task", "timed_out", "timeout_s", "waited", "waiter"),
    )

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._streak = 0
        self._busy_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        #: The task that runs here, or None.
        self.delivery: Delivery | None = None
        #: Stops the code that runs here, as well as its kind allows: cancel, kill, or raise in its thread.
        self.interrupt: Callable[[], object] = lambda: None
        #: Bound on the present run, from its first wait on: code that never waits can't be timed by its own loop.
        self.timeout_s: float | None = None
        self.stopping = False
        self.timed_out = False
        #: Somebody has cancelled the task that runs here.
        self.cancelled = False
        #: Whether the present run has given the loop to others.
        self.waited = False
        #: Set while nothing is to be done here.
        self.waiter: asyncio.Future[None] | None = None
        self.task = asyncio.get_running_loop().create_task(self._live(), name="slot")

    def suspended(self) -> None:
        """The present run waits for the first time: its clock starts, and another slot goes on."""
        if not self.waited:
            self._pool.lookahead.waits(self)
        self.waited = True
        self._streak = 0
        self._busy_s = 0.0
        if self.timeout_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self.timeout_s, self.expire)
        if self.stopping:
            asyncio.get_running_loop().call_soon(self.stop)
        self._pool.wake_one()

    def stop(self) -> None:
        """Stops the present run; nothing is decided about its task. Asked again, it interrupts again."""
        self.stopping = True
        if self.delivery is not None and self.waited:
            self.interrupt()

    def ended(self, run_s: float) -> None:
        """The present run is over, however it went."""
        self._pool.lookahead.ran(run_s, self.waited, self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.waited:
            self._streak += 1
            self._busy_s += run_s

    def expire(self) -> None:
        """The present run has had the time that it was given."""
        self.timed_out = True
        self._insist(CLEAN_UP_S)

    def cancel(self) -> None:
        """The present run is to end, for nobody wants it any more."""
        self.cancelled = True
        self._insist(CLEAN_UP_S)

    def _insist(self, patience_s: float) -> None:
        """Stops the present run, and again when it has not ended: a coroutine may have swallowed its cancellation."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._insist_again)
        self.interrupt()

    def _insist_again(self) -> None:
        if self.delivery is not None:
            where = {"task_id": self.delivery.id}
            logger.warning("%s was stopped and goes on: stopping it again", self.delivery.name, extra=where)
        self._insist(AGAIN_EVERY_S)

    async def _live(self) -> None:
        pool = self._pool
        take, process = pool.take, pool.process
        while True:
            delivery = take()
            if delivery is None:
                self.waiter = asyncio.get_running_loop().create_future()
                pool.rest(self)
                try:
                    await self.waiter
                except asyncio.CancelledError:
                    return  # the pool is closed; nothing ran here
                self.waiter = None
                continue
            self.delivery = delivery
            self.waited = self.timed_out = self.cancelled = False
            try:
                await process(self, delivery)
            except Exception:
                logger.exception("the worker itself failed on a task; it stays held", extra={"task_id": delivery.id})
                pool.broken(delivery)
            while self.task.cancelling():
                self.task.uncancel()
            self.delivery = None
            pool.left(self, delivery)
            if self._streak >= _SLICE_TASKS or self._busy_s >= _SLICE_S:
                self._streak, self._busy_s = 0, 0.0
                await asyncio.sleep(0)
