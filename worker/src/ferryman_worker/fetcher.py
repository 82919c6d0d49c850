"""Fetcher: the one conversation with Redis: outcomes out (active -> ...), tasks in (waiting | handed -> active).

Idle: listens by BLMOVE, with the fetch right behind it. Busy: outcomes and the next fetch go in one
pipelined round trip; two may be under way, so that neither Redis nor the worker waits for the other. A round
trip that fails is repeated with backoff for as long as Redis is away: outcomes are kept, nobody exits. A fetch
whose reply was lost may have been applied; what Redis says this worker holds is then compared with what it
knows, and the rest goes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container
from typing import Any

from ferryman.broker import ANY_HANDED, Broker
from ferryman.errors import BrokerError, BrokerUnavailable
from ferryman.link import Link
from ferryman.protocol import Delivery, Fetched
from ferryman.workers import WorkerRegistry
from ferryman_worker.acker import FLUSH_AFTER_S, FLUSH_AT, Acker, OwnershipGone
from ferryman_worker.appetite import Appetite
from ferryman_worker.batch import Batch, Held
from ferryman_worker.counters import Counters
from ferryman_worker.foresight import Foresight
from ferryman_worker.listener import Listener
from ferryman_worker.pool import Pool
from ferryman_worker.stall import Stall

logger = logging.getLogger(__name__)

#: Round trips at a time.
LANES = 2
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 2.0


class Fetcher:
    """Runs from a registration until ownership is gone or everything is settled."""

    def __init__(
        self,
        worker: str,
        link: Link,
        listener: Listener,
        broker: Broker,
        registry: WorkerRegistry,
        pool: Pool,
        acker: Acker,
        counters: Counters,
    ) -> None:
        self._worker = worker
        self._link = link
        self._listener = listener
        self._broker = broker
        self._registry = registry
        self._pool = pool
        self._acker = acker
        self._counters = counters
        self._wakers: list[asyncio.Future[None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._appetite = Appetite(pool, acker, listener)
        self._stall = Stall(pool, lambda first, last: self._return(self._appetite.take_stuck(first, last)))
        self._foresight = Foresight(self._appetite, self.progress, self._wakers)
        #: Compare Redis' list with what is known, in the next round trip.
        self.reconcile = False
        self._settling = False
        #: Round trips under way, and whether one of them compares lists.
        self._flying = 0
        self._comparing = False
        self._gone: OwnershipGone | None = None

    # From outside.

    def progress(self) -> None:
        """Something has changed: an outcome, a free slot, a beat. Cheap enough to be called for each task."""
        if not self._wakers:
            return
        appetite = self._appetite
        if self._flush_due() or appetite.wanted() or appetite.should_listen() or self._settling:
            self._wake_one()
        elif self._acker.count and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self._waited_long_enough)

    def wake(self) -> None:
        """Look again, whatever it was."""
        while self._wakers:
            self._wake_one()

    def go_quiet(self) -> None:
        """Fetches no more; what has not started goes back."""
        self._appetite.quiet = True
        self._listener.stop()
        self._return(self._appetite.take_stale(0.0))
        self.wake()

    def rest(self, resting: bool) -> None:
        """A beat told whether the queue is on hold or this worker is drained. What has not started goes back."""
        if resting and not self._appetite.resting:
            self._listener.stop()
            self._return(self._appetite.take_stale(0.0))
        self._appetite.resting = resting
        self.progress()

    def settle(self) -> None:
        """`run` ends when every outcome is with Redis. Nothing may be running."""
        self._settling = True
        self.wake()

    @property
    def worker(self) -> str:
        """Whose tasks these are."""
        return self._worker

    def held_ids(self) -> list[str]:
        """The tasks that are this worker's, as far as it knows."""
        return [task_id for task_id, _ in self._appetite.held()]

    @property
    def held(self) -> int:
        """How many tasks are this worker's, as far as it knows."""
        return len(self.held_ids())

    def give_back_stale(self) -> None:
        """Called a few times a second: what was fetched ahead and did not get its turn goes back."""
        self._return(self._appetite.take_stale())

    def cancel(self, ids: Container[str], can_stop: Callable[[str], bool]) -> None:
        """Somebody has cancelled these: what runs is stopped, if its kind can be, and what has not started ends."""
        for delivery in [*self._pool.cancel(ids, can_stop), *self._appetite.take_suspect(ids)]:
            self._acker.cancelled(delivery)
        self.wake()

    def tell_progress(self) -> None:
        """Called a few times a second: handlers may have said how far they have come."""
        if self._acker.progress.due:
            self.wake()

    # The loop.

    async def run(self) -> None:
        """Until everything is settled. Raises OwnershipGone."""
        lanes = [asyncio.create_task(self._lane(), name=f"lane-{n}") for n in range(LANES)]
        try:
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)  # what was under way is restored by now

    async def _lane(self) -> None:
        """One round trip after another. While one lane waits for Redis, the other reads, works and sends."""
        failures = 0
        while True:
            if self._gone is not None:
                raise self._gone
            if not self._flying:
                self._appetite.release_suspect()
            if self._listener.take_lost():
                self.reconcile = True
            if self.reconcile:
                self._listener.stop()
            wanted = self._appetite.wanted()
            blocked = self._blocked()
            if blocked or not (wanted or self.reconcile or self._flush_due()):
                if self._settling and self._acker.settled and not self.reconcile and not self._listener.listening:
                    self.wake()
                    return
                if not blocked and self._appetite.should_listen():
                    self._listen()
                await self._wait()
                continue
            try:
                await self._exchange(wanted)
                failures = 0
            except BrokerError as error:
                failures += 1
                self._counters.broker_errors += 1
                if failures == 1:
                    logger.warning("Redis: %s; going on when it is back", error)
                await asyncio.sleep(min(_RETRY_FIRST_S * 2 ** min(failures, 10), _RETRY_LONGEST_S))

    def _blocked(self) -> bool:
        """A comparison of lists must have the conversation to itself."""
        return self._comparing or (self.reconcile and (self._flying > 0 or self._listener.listening))

    def _listen(self) -> None:
        # For one task only: Redis runs this for a worker that is frozen or cut off, too, and what it took waits there
        # until its deadline has passed.
        self._listener.listen(self._broker.fetch(self._worker, 1, ANY_HANDED), self._handed_over)

    def _handed_over(self, fetched: Fetched) -> None:
        try:
            self._take(fetched, wanted=2)  # one does not mean that there are more: what is left in waiting tells
        except OwnershipGone as gone:
            self._gone = gone  # a lane says so

    async def _exchange(self, wanted: int) -> None:
        """One round trip."""
        compare, self.reconcile = self.reconcile, False
        batch = self._acker.take()
        calls = batch.calls(self._broker, self._worker)
        if compare:
            wanted = 0
            calls.append(self._registry.holding(self._worker))
        elif wanted:
            calls.append(self._broker.fetch(self._worker, wanted, self._listener.take()))
        self._flying += 1
        self._appetite.coming += wanted
        self._comparing = compare
        try:
            replies = await self._link.run_all(calls)
        except BaseException:
            # The fetch, if there was one, may have been applied.
            self.reconcile = compare or bool(wanted) or self.reconcile
            self._acker.restore(batch)
            raise
        finally:
            self._flying -= 1
            self._appetite.coming -= wanted
            self._comparing = False
            if compare or self.reconcile:
                self.wake()
        self._land(batch, replies, compare, wanted)

    def _land(self, batch: Batch, replies: list[Any], compare: bool, wanted: int) -> None:
        unanswered: BrokerError | None = None
        try:
            self._acker.settle(batch, replies)
        except BrokerError as error:
            unanswered = error
        if compare or wanted:
            answer = replies[-1]
            if isinstance(answer, BrokerError):
                self.reconcile = compare or isinstance(answer, BrokerUnavailable) or self.reconcile
                raise answer
            if compare:
                self._return_unknown(answer, batch)
            else:
                self._take(answer, wanted)
        if unanswered is not None:
            raise unanswered

    def _take(self, fetched: Fetched, wanted: int) -> None:
        tasks = self._appetite.accept(fetched, wanted)
        if fetched.tasks:
            self._counters.fetched(fetched)
            if logger.isEnabledFor(logging.DEBUG):
                for delivery in fetched.tasks:
                    where = {"task_id": delivery.id, "queue": self._counters.queue, "task": delivery.name}
                    logger.debug("%s fetched", delivery.name, extra={**where, "attempt": delivery.attempt})
            self._pool.put(tasks)
            self._stall.watch()
            if self._appetite.quiet:
                self._return(self._appetite.take_stale(0.0))
        elif self._appetite.puzzled:
            self.reconcile = True

    def _flush_due(self) -> bool:
        acker = self._acker
        if acker.count:
            return acker.count >= FLUSH_AT or self._pool.empty or acker.age_s >= FLUSH_AFTER_S
        return acker.progress.due

    def _return(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            self._acker.give_back(deliveries)
            self.wake()

    def _return_unknown(self, holding: list[Held], batch: Batch) -> None:
        # What left in the same trip counts as known: a script that Redis had lost runs after its neighbours, so the
        # list may have been read before the outcomes beside it were applied.
        known = {*self._appetite.held(), *batch.held()}
        if unknown := [held for held in holding if held not in known]:
            logger.warning("found %d tasks whose fetch was never answered: they go back", len(unknown))
            self._acker.give_back_unknown(unknown)

    async def _wait(self) -> None:
        waker = asyncio.get_running_loop().create_future()
        self._wakers.append(waker)
        self._foresight.watch()
        if self._acker.count and self._timer is None:
            left_s = max(FLUSH_AFTER_S - self._acker.age_s, 0.0)
            self._timer = asyncio.get_running_loop().call_later(left_s, self._waited_long_enough)
        try:
            await waker
        finally:
            if waker in self._wakers:
                self._wakers.remove(waker)

    def _waited_long_enough(self) -> None:
        self._timer = None
        self.wake()

    def _wake_one(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wakers.pop().set_result(None)
