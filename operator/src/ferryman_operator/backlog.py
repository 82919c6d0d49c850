"""Backlog: measures all queues of one Redis in one round trip. The MEASURE of measure, decide, apply, report.

A Redis that does not answer in time costs its own queues this pass and nothing else.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from ferryman import durability
from ferryman.call import Call
from ferryman.durability import Durability
from ferryman.errors import BrokerError, ProtocolMismatch
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.policy import Claim, ClaimReply, QueuePolicy
from ferryman.wire import NotAdmitted, Refusal
from ferryman.workers import WorkerRegistry, WorkerRow
from ferryman_operator.autoscaler import Demand
from ferryman_operator.rates import Counters, Rates

#: The reason when Redis does not answer in time.
TIMEOUT: Final = "Timeout"

#: A claim on a queue ends this long after the operator last renewed it.
CLAIM_LEASE_MS: Final = 15_000


@dataclass(frozen=True, slots=True)
class Question:
    """A queue to be measured; with `claim`, its claim is renewed on the way.

    `empty` when it had no workers the last time: then they are listed only when the figures show that there are some.
    """

    queue: str
    claim: Claim | None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured; `taken_s` is monotonic."""

    stats: QueueStats
    workers: Sequence[WorkerRow]
    claim: ClaimReply | None
    taken_s: float

    def counters(self) -> Counters:
        """What rates are made from."""
        stats = self.stats
        # Every run that ended took a task out of line; retries and due tasks come into it like new ones.
        return Counters(
            at_s=self.taken_s,
            arrived=stats.waiting + stats.ready + stats.active + stats.runs,
            runs=stats.runs,
            run_ms_total=stats.run_ms_total,
            busy=self._slots_in_use()[0],
        )

    def demand(self, rates: Rates) -> Demand:
        """What workers are needed for. A worker may hold more than it runs; what it has not started still waits."""
        busy, ahead = self._slots_in_use()
        return Demand(
            # Of the blocked ones only those that stand in a lane and could run: more workers do not help the others.
            waiting=self.stats.waiting + self.stats.ready + ahead,
            busy=busy,
            busy_of_late=rates.busy,
            due_soon=self.stats.due_soon,
            orphaned=self.stats.orphaned,
            oldest_age_s=self.stats.oldest_waiting_s,
            arrivals_per_s=rates.arrivals_per_s,
            flow_per_s=rates.flow_per_s,
            service_s=rates.service_s,
            silent_s=rates.silent_s,
        )

    def _slots_in_use(self) -> tuple[int, int]:
        """Slots that run a task, and the tasks that living workers hold beyond that."""
        alive = [worker for worker in self.workers if worker.deadline_ms > self.stats.now_ms]
        busy = sum(min(worker.active, worker.concurrency or worker.active) for worker in alive)
        return busy, sum(worker.active for worker in alive) - busy


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Why there is no measurement: the reason and message of a condition. `secret` when a Secret is to blame."""

    reason: str
    message: str

    @property
    def credentials_refused(self) -> bool:
        """Whether other credentials might help."""
        return self.reason == "AuthenticationFailed"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One answer per question, in order; `reached` tells whether Redis answered at all."""

    answers: list[Reading | Unmeasured]
    reached: bool
    durability: Durability | None = None  # None when it was not asked for


async def measure(
    link: Link, questions: Sequence[Question], timeout_s: float, *, with_durability: bool = False
) -> Measurement:
    """Ask all questions of one Redis, and on demand what it says of its durability, in one round trip."""
    calls: list[Call[Any]] = []
    for question in questions:
        if question.claim:
            calls.append(QueuePolicy(question.queue).claim(question.claim, CLAIM_LEASE_MS))
        stats, workers = _looks(question.queue)
        calls += [stats] if question.empty else [stats, workers]
    if with_durability:
        calls += durability.questions()
    try:
        async with asyncio.timeout(timeout_s):
            replies = iter(await link.run_all(calls))
            answers = [_answer(question, replies) for question in questions]
            judged = durability.judge(list(replies)) if with_durability else None
            woken = [at for at, answer in enumerate(answers) if questions[at].empty and _has_workers(answer)]
            lists = await link.run_all([_looks(questions[at].queue)[1] for at in woken])
    except (BrokerError, OSError, TimeoutError) as error:
        return Measurement([unmeasured(error, timeout_s)] * len(questions), reached=False)
    for at, workers in zip(woken, lists, strict=True):
        answers[at] = _with_workers(answers[at], workers)
    return Measurement(answers, True, judged)


@lru_cache(maxsize=10_000)
def _looks(queue: str) -> tuple[Call[QueueStats], Call[list[WorkerRow]]]:
    """The two calls that each pass repeats."""
    return Inspector(queue).stats(), WorkerRegistry(queue).list()


def _answer(question: Question, replies: Iterator[Any]) -> Reading | Unmeasured:
    claim = next(replies) if question.claim else None
    stats = next(replies)
    workers = () if question.empty else next(replies)
    for reply in (claim, stats, workers):
        if isinstance(reply, Exception):
            return unmeasured(reply, 0)
    return Reading(stats, workers, claim, time.monotonic())


def _has_workers(answer: Reading | Unmeasured) -> bool:
    return isinstance(answer, Reading) and bool(answer.stats.workers or answer.stats.active)


def _with_workers(answer: Reading | Unmeasured, workers: Any) -> Reading | Unmeasured:
    if isinstance(workers, Exception):
        return unmeasured(workers, 0)
    return replace(answer, workers=workers) if isinstance(answer, Reading) else answer


def unmeasured(error: BaseException, timeout_s: float) -> Unmeasured:
    """What an error means for the condition BrokerReachable; the causes tell more than the error itself."""
    causes = list(_causes(error))
    codes = {cause.code for cause in causes if isinstance(cause, Refusal)}
    message = str(error) or f"no answer within {timeout_s:g} s"
    if isinstance(error, ProtocolMismatch):
        return Unmeasured("ProtocolMismatch", message)
    if codes & {"NOAUTH", "WRONGPASS", "NOPERM"} or any(isinstance(cause, NotAdmitted) for cause in causes):
        return Unmeasured("AuthenticationFailed", message)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Unmeasured("NameNotResolved", message)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Unmeasured("ConnectionRefused", message)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Unmeasured(TIMEOUT, message)
    if "LOADING" in codes:
        return Unmeasured("Loading", message)
    if "takes no writes now" in message:
        return Unmeasured("WritesRefused", message)
    return Unmeasured("Refused" if type(error).__name__ == "BrokerRefused" else "ConnectionFailed", message)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
