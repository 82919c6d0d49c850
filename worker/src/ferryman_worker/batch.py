"""Batch: outcomes that travel to Redis together, and the calls that carry them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.protocol import Completion, Delivery, ExitReply, Step
from ferryman.workers import WorkerRegistry
from ferryman_worker.outcome import Crash, DeadLetter, Park, RetryLater, Verdict

#: (id, token), as the protocol names a delivery.
Held = tuple[str, int]


class Exit(msgspec.Struct, frozen=True):
    """A run that did not end well, on its way out."""

    id: str
    token: int
    verdict: Verdict
    run_ms: int
    delivery: Delivery | None = None  # where somebody wants to hear of its death


class Batch(msgspec.Struct, eq=False):
    """What is sent, in this order: progress in one call, completions in one, each exit in its own, returns in one."""

    completions: list[Completion]
    exits: list[Exit]
    returns: list[Held]
    progress: list[Step] = msgspec.field(default_factory=list)

    @property
    def size(self) -> int:
        """Outcomes in this batch."""
        return len(self.completions) + len(self.exits) + len(self.returns)

    def held(self) -> Iterator[Held]:
        """Every delivery in it."""
        for completion in self.completions:
            yield completion.id, completion.token
        for leaving in self.exits:
            yield leaving.id, leaving.token
        yield from self.returns

    def calls(self, broker: Broker, worker: str) -> list[Call[Any]]:
        """The calls, one per reply that `Acker.settle` expects."""
        calls: list[Call[Any]] = []
        if self.progress:
            calls.append(WorkerRegistry(broker.queue).progress(worker, self.progress))
        if self.completions:
            calls.append(broker.complete(worker, self.completions))
        calls.extend(_exit(broker, worker, leaving) for leaving in self.exits)
        if self.returns:
            calls.append(broker.requeue(worker, self.returns))
        return calls


def _exit(broker: Broker, worker: str, leaving: Exit) -> Call[ExitReply]:
    task, token, run_ms = leaving.id, leaving.token, leaving.run_ms
    match leaving.verdict:
        case RetryLater(delay_ms, spend, error):
            return broker.retry(worker, task, token, delay_ms=delay_ms, spend=spend, error=error, run_ms=run_ms)
        case Park(delay_ms, error, counted):
            return broker.retry(
                worker, task, token, delay_ms=delay_ms, spend=False, error=error, park=True, park_counted=counted
            )
        case DeadLetter(error):
            return broker.dead_letter(worker, task, token, error=error, run_ms=run_ms)
        case Crash(reason):
            return broker.crash(worker, task, token, reason=reason)
