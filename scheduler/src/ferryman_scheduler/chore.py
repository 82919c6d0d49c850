"""Chore: what a loop of the scheduler does for queues, and the tally that its work goes into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from ferryman.call import Call
from ferryman.cause import Cause
from ferryman.errors import BrokerError
from ferryman.link import Link

#: Tasks moved in one round trip, by however many calls. Redis runs a pipeline without a break, so this is what a
#: worker's beat or a producer may have to wait for: one to two milliseconds.
BATCH: Final = 200

#: Every queue's least part of that, so that a storm elsewhere never starves it.
LEAST: Final = 10


class Tally(Protocol):
    """Counts what was done; metrics for the service, a summary for one pass."""

    def promoted(self, queue: str, count: int, lag_ms: int) -> None:
        """Delayed -> waiting; the latest of them was `lag_ms` late."""

    def recovered(self, queue: str, waiting: int, dead: int, cause: Cause) -> None:
        """A dead worker's active -> waiting, and -> dead."""

    def handed_back(self, queue: str, count: int) -> None:
        """Forgotten in handed -> waiting."""

    def fired(self, queue: str, lag_ms: int) -> None:
        """An occurrence of a schedule -> a new task, `lag_ms` late."""

    def missed(self, queue: str, count: int, why: str) -> None:
        """Occurrences of schedules that got no task; `why` is "late" or "overlap"."""

    def trimmed(self, queue: str, completed: int, dead: int) -> None:
        """Kept statuses forgotten, dead tasks discarded."""


class Chore(Protocol):
    """One kind of work. Every visit is bounded; what it leaves undone is for the next one."""

    @property
    def name(self) -> str:
        """As in metrics and logs."""

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """Work on each of `queues` once. Raises BrokerUnavailable."""


class Visit:
    """The outcome of a visit.

    `pauses_s` says when each queue wants the next one; a queue that is missing there could not be worked on.
    `refusals` says what Redis refused, by queue: its data is damaged. The queue may have been worked on all the same.
    """

    def __init__(self) -> None:
        self.pauses_s: dict[str, float] = {}
        self.refusals: dict[str, BrokerError] = {}


def share(calls: int) -> int:
    """How many tasks each of `calls` that go in one round trip may move."""
    return max(LEAST, BATCH // max(1, calls))


async def ask(link: Link, visit: Visit, calls: Sequence[tuple[str, Call[Any]]]) -> list[tuple[str, Any]]:
    """Run each queue's call in one round trip and give (queue, reply) of those that worked; note the others."""
    replies = await link.run_all([call for _, call in calls])
    answered: list[tuple[str, Any]] = []
    for (queue, _), reply in zip(calls, replies, strict=True):
        if isinstance(reply, BrokerError):
            visit.refusals[queue] = reply
        else:
            answered.append((queue, reply))
    return answered
