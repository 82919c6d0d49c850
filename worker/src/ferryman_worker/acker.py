"""Acker: keeps what has become of tasks until Redis has it: active -> completed, delayed, dead or waiting.

Outcomes go out in batches, the first ones first, and are forgotten only when Redis has answered. A batch whose
reply was lost goes out again: every exit is fenced by its delivery's token, so a resend that was applied before
is answered `not_held`, counted, and harmless. A crash loses what was not answered; those tasks run again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ferryman.cause import Cause
from ferryman.errors import BrokerError, BrokerRefused
from ferryman.protocol import Completion, Delivery, ExitReply, Outcomes
from ferryman_worker.batch import Batch, Exit, Held
from ferryman_worker.counters import UNKNOWN, Counters
from ferryman_worker.dead_hooks import DeadHooks, died
from ferryman_worker.outcome import Crash, DeadLetter, Verdict
from ferryman_worker.progress_log import ProgressLog

logger = logging.getLogger(__name__)

#: A batch of this many goes out at once; a younger and smaller one waits for company until FLUSH_AFTER_S.
FLUSH_AT = 100
FLUSH_AFTER_S = 0.002
#: Tasks in one script call: its time is bounded.
_PER_CALL = 100


class OwnershipGone(Exception):
    """This worker was declared dead: what it holds is no longer its own."""


class Acker:
    """Outcomes that wait for a flush, and batches that are on their way."""

    def __init__(self, counters: Counters, dead_hooks: DeadHooks | None = None) -> None:
        self._counters = counters
        self._dead_hooks = dead_hooks or None
        self._completions: list[Completion] = []
        self._exits: list[Exit] = []
        self._returns: list[Held] = []
        self._flying: list[Batch] = []
        #: Outcomes that wait to be sent.
        self.count = 0
        self._since = 0.0
        #: Exits that Redis refused: their data is broken, they stay in its list until a person looks.
        self._refused: set[Held] = set()
        self._one_by_one = False
        #: What the handlers of running tasks say of how far they have come.
        self.progress = ProgressLog()

    # In.

    def complete(self, delivery: Delivery, run_s: float, result: bytes) -> None:
        """The task ended well."""
        if not self.count:
            self._since = time.monotonic()
        self.count += 1
        self._completions.append(Completion(delivery.id, delivery.token, round(run_s * 1_000), result))

    def fail(self, delivery: Delivery, verdict: Verdict, run_s: float) -> None:
        """The task did not."""
        if not self.count:
            self._since = time.monotonic()
        self.count += 1
        told = delivery if self._dead_hooks and isinstance(verdict, DeadLetter | Crash) else None
        self._exits.append(Exit(delivery.id, delivery.token, verdict, round(run_s * 1_000), told))

    def cancelled(self, delivery: Delivery) -> None:
        """The task was stopped because somebody has cancelled it. Sent as if it went back: the wish with it ends it."""
        self._counters.of(delivery.name).cancelled += 1
        self._return([(delivery.id, delivery.token)])

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """The tasks did not run, or were stopped: to the front of waiting, nothing spent."""
        for delivery in deliveries:
            self._counters.of(delivery.name).requeued += 1
        self._return([(delivery.id, delivery.token) for delivery in deliveries])

    def give_back_unknown(self, held: Sequence[Held]) -> None:
        """The same for tasks of which only (id, token) is known: the reply that brought them was lost."""
        self._counters.of(UNKNOWN).requeued += len(held)
        self._counters.recovered.count(Cause.LOST_FETCH, len(held), 0)
        self._return(held)

    # State.

    @property
    def settled(self) -> bool:
        """Redis has answered everything."""
        return not self.count and not self._flying

    @property
    def age_s(self) -> float:
        """How long the oldest outcome that waits has done so."""
        return time.monotonic() - self._since if self.count else 0.0

    def held(self) -> Iterator[Held]:
        """Everything that may still stand in the worker's list."""
        for batch in (Batch(self._completions, self._exits, self._returns), *self._flying):
            yield from batch.held()
        yield from self._refused

    # Out.

    def take(self) -> Batch:
        """What is to be sent now. It stays held until it is settled, or restored."""
        size = 1 if self._one_by_one else _PER_CALL
        batch = Batch(self._completions[:size], self._exits[:size], self._returns[:size])
        del self._completions[:size], self._exits[:size], self._returns[:size]
        if self.progress:
            batch.progress = self.progress.take(task_id for task_id, _ in batch.held())
        self._flying.append(batch)
        self._recount()
        return batch

    def restore(self, batch: Batch) -> None:
        """The round trip failed: all of it goes out again, before what came later."""
        self._flying.remove(batch)
        self._put_back(batch)

    def settle(self, batch: Batch, replies: Sequence[Any]) -> None:
        """Forgets what Redis answered. Raises OwnershipGone when the worker was declared dead, or the BrokerError
        of a call that had no answer: that one is kept, and goes out again."""
        self._flying.remove(batch)
        try:
            kept, problem = self._read(batch, replies)
        except OwnershipGone:
            self._put_back(batch)
            raise
        self._put_back(kept)
        if problem is not None:
            raise problem
        if self.settled:
            self._one_by_one = False
        if batch.size:
            self._counters.flush_batch.observe(batch.size)

    def drop(self) -> int:
        """Forgets everything: it is no longer this worker's to decide. Returns how many outcomes were lost."""
        lost = self.count + sum(batch.size for batch in self._flying)
        self._counters.stale_outcomes += lost
        self._completions, self._exits, self._returns, self._flying = [], [], [], []
        self._refused.clear()
        self.progress.clear()
        self._recount()
        return lost

    def _return(self, held: Sequence[Held]) -> None:
        if not self.count:
            self._since = time.monotonic()
        self._returns.extend(held)
        self.count += len(held)

    def _put_back(self, batch: Batch) -> None:
        self._completions[:0] = batch.completions
        self._exits[:0] = batch.exits
        self._returns[:0] = batch.returns
        self.progress.put_back(batch.progress)
        self.count += batch.size

    def _recount(self) -> None:
        self.count = len(self._completions) + len(self._exits) + len(self._returns)
        self._since = time.monotonic()

    def _read(self, batch: Batch, replies: Sequence[Any]) -> tuple[Batch, BrokerError | None]:
        """What must be sent again, and why."""
        kept, problem = Batch([], [], []), None
        answers = iter(replies)
        if batch.progress:
            next(answers)  # what could not be written is a second old, and the next word comes
        if batch.completions and (error := self._answered(next(answers), Batch(batch.completions, [], []))):
            kept.completions, problem = batch.completions, error
        for leaving in batch.exits:
            answer = next(answers)
            if error := self._answered(answer, Batch([], [leaving], [])):
                kept.exits.append(leaving)
                problem = error
            elif self._dead_hooks and (dead := died(leaving, answer, self._counters.queue)):
                self._dead_hooks.tell(dead)
        if batch.returns and (error := self._answered(next(answers), Batch([], [], batch.returns))):
            kept.returns, problem = batch.returns, error
        return kept, problem

    def _answered(self, reply: Any, sent: Batch) -> BrokerError | None:
        """None when these exits are settled, else the error for which they are kept."""
        match reply:
            case Outcomes(reply=ExitReply.UNREGISTERED) | ExitReply.UNREGISTERED:
                raise OwnershipGone("an outcome was answered: not registered")
            case Outcomes():
                self._counters.stale_outcomes += len(reply.not_held)
            case ExitReply.NOT_HELD:
                self._counters.stale_outcomes += 1
            case BrokerRefused() if sent.size > 1:
                # One broken task must not hold back its neighbours: find it by sending them one by one.
                self._one_by_one = True
                return reply
            case BrokerRefused():
                [refused] = sent.held()
                where = {"task_id": refused[0]}
                logger.error("Redis refused an outcome, its task stays active: %s", reply, extra=where)
                self._counters.broker_errors += 1
                self._refused.add(refused)
            case BrokerError():
                return reply
        return None
