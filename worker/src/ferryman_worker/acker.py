"""Acker: keeps what has become of tasks until Redis has it: active -> completed, delayed, dead or waiting.

Outcomes go out in batches, the first ones first, and are forgotten only when Redis has answered. A batch whose
reply was lost goes out again: every exit is fenced by its delivery's token, so a resend that was applied before
is answered `not_held`, counted, and harmless. A crash loses what was not answered; those tasks run again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.errors import BrokerError, BrokerRefused
from ferryman.protocol import Completion, Delivery, ExitReply, Outcomes
from ferryman_worker.counters import UNKNOWN, Counters
from ferryman_worker.outcome import DeadLetter, Park, RetryLater, Verdict

logger = logging.getLogger(__name__)

#: A batch of this many goes out at once; a younger and smaller one waits for company until FLUSH_AFTER_S.
FLUSH_AT = 100
FLUSH_AFTER_S = 0.002
#: Tasks in one script call: its time is bounded.
_PER_CALL = 200


@dataclass(frozen=True, slots=True)
class Exit:
    """A run that did not end well, on its way out."""

    id: str
    token: int
    verdict: Verdict
    run_ms: int


class OwnershipGone(Exception):
    """This worker was declared dead: what it holds is no longer its own."""


class Acker:
    """Outcomes that wait for a flush (`count`), and the batch that is on its way."""

    def __init__(self, broker: Broker, counters: Counters) -> None:
        self._broker = broker
        self._counters = counters
        self._completions: list[Completion] = []
        self._exits: list[Exit] = []
        self._returns: list[tuple[str, int]] = []
        self._since = 0.0
        #: Exits that Redis refused: their data is broken, they stay in its list until a person looks.
        self._refused: dict[tuple[str, int], None] = {}
        self._one_by_one = False

    # In.

    def complete(self, delivery: Delivery, run_s: float, result: bytes) -> None:
        """The task ended well."""
        if not self.count:
            self._since = time.monotonic()
        self._completions.append(Completion(delivery.id, delivery.token, round(run_s * 1_000), result))

    def fail(self, delivery: Delivery, verdict: Verdict, run_s: float) -> None:
        """The task did not."""
        if not self.count:
            self._since = time.monotonic()
        self._exits.append(Exit(delivery.id, delivery.token, verdict, round(run_s * 1_000)))

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """The tasks did not run, or were stopped: to the front of waiting, nothing spent."""
        if not deliveries:
            return
        if not self.count:
            self._since = time.monotonic()
        for delivery in deliveries:
            self._counters.of(delivery.name).requeued += 1
        self._returns.extend((delivery.id, delivery.token) for delivery in deliveries)

    def give_back_unknown(self, held: Sequence[tuple[str, int]]) -> None:
        """The same for tasks of which only (id, token) is known: the reply that brought them was lost."""
        self._counters.of(UNKNOWN).requeued += len(held)
        self._returns.extend(held)

    # State.

    @property
    def count(self) -> int:
        """Outcomes that Redis does not have for certain."""
        return len(self._completions) + len(self._exits) + len(self._returns)

    @property
    def age_s(self) -> float:
        """How long the oldest outcome has waited."""
        return time.monotonic() - self._since if self.count else 0.0

    def held(self) -> Iterator[tuple[str, int]]:
        """(id, token) of everything that may still stand in the worker's list."""
        for completion in self._completions:
            yield completion.id, completion.token
        for leaving in self._exits:
            yield leaving.id, leaving.token
        yield from self._returns
        yield from self._refused

    # Out.

    def batch(self, worker: str) -> Batch:
        """What is to be sent now. Nothing is forgotten until `settle`."""
        size = 1 if self._one_by_one else _PER_CALL
        completions, exits, returns = self._completions[:size], self._exits[:size], self._returns[:size]
        calls: list[Call[Any]] = []
        if completions:
            calls.append(self._broker.complete(worker, completions))
        calls.extend(self._call(worker, leaving) for leaving in exits)
        if returns:
            calls.append(self._broker.requeue(worker, returns))
        return Batch(calls, len(completions), len(exits), len(returns))

    def settle(self, batch: Batch, replies: Sequence[Any]) -> None:
        """Forgets what Redis answered. Raises OwnershipGone when the worker was declared dead, or the BrokerError
        of a call that had no answer: that one is kept, and goes out again."""
        unanswered: BrokerError | None = None
        answers = iter(replies)
        if batch.completions:
            keys = [(c.id, c.token) for c in self._completions[: batch.completions]]
            kept = self._answered(next(answers), keys)
            unanswered = kept or unanswered
            if kept is None:
                del self._completions[: batch.completions]
        remaining: list[Exit] = []
        for leaving in self._exits[: batch.exits]:
            kept = self._answered(next(answers), [(leaving.id, leaving.token)])
            if kept is not None:
                unanswered = kept
                remaining.append(leaving)
        self._exits[: batch.exits] = remaining
        if batch.returns:
            kept = self._answered(next(answers), self._returns[: batch.returns])
            unanswered = kept or unanswered
            if kept is None:
                del self._returns[: batch.returns]
        self._since = time.monotonic()
        if unanswered is not None:
            raise unanswered
        if not self.count:
            self._one_by_one = False
        if batch.size:
            self._counters.flush_batch.observe(batch.size)

    def drop(self) -> int:
        """Forgets everything: it is no longer this worker's to decide. Returns how many outcomes were lost."""
        lost = self.count
        self._counters.stale_outcomes += lost
        self._completions, self._exits, self._returns = [], [], []
        self._refused.clear()
        return lost

    def _answered(self, reply: Any, keys: list[tuple[str, int]]) -> BrokerError | None:
        """None when these exits are settled, else the error for which they are kept."""
        match reply:
            case Outcomes(reply=ExitReply.UNREGISTERED) | ExitReply.UNREGISTERED:
                raise OwnershipGone("an outcome was answered: not registered")
            case Outcomes():
                self._counters.stale_outcomes += len(reply.not_held)
            case ExitReply.NOT_HELD:
                self._counters.stale_outcomes += 1
            case BrokerRefused() if len(keys) > 1:
                # One broken task must not hold back its neighbours: find it by sending them one by one.
                self._one_by_one = True
                return reply
            case BrokerRefused():
                where = {"task_id": keys[0][0]}
                logger.error("Redis refused an outcome, its task stays active: %s", reply, extra=where)
                self._counters.broker_errors += 1
                self._refused[keys[0]] = None
            case BrokerError():
                return reply
        return None

    def _call(self, worker: str, leaving: Exit) -> Call[ExitReply]:
        task, token, run_ms = leaving.id, leaving.token, leaving.run_ms
        match leaving.verdict:
            case RetryLater(delay_ms, spend, error):
                return self._broker.retry(
                    worker, task, token, delay_ms=delay_ms, spend=spend, error=error, run_ms=run_ms
                )
            case Park(delay_ms, error):
                return self._broker.retry(
                    worker, task, token, delay_ms=delay_ms, spend=False, error=error, run_ms=run_ms, park=True
                )
            case DeadLetter(error):
                return self._broker.dead_letter(worker, task, token, error=error, run_ms=run_ms)


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls on their way, and how many outcomes of each kind they carry."""

    calls: list[Call[Any]]
    completions: int
    exits: int
    returns: int

    @property
    def size(self) -> int:
        """Outcomes in this batch."""
        return self.completions + self.exits + self.returns
