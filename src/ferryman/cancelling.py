"""Cancelling: a task is to come to no end: what waits is discarded at once, what runs is asked to stop.

A running task belongs to its worker, so only a wish can be left with it. It stays with the task: whatever would send
it round again, even the death of that worker, discards it instead. Only what can be stopped is asked to.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ferryman.broker import Broker
from ferryman.inspector import Inspector
from ferryman.plan import Plan

#: A task can move on between two looks; more often than this it does not.
_LOOKS: Final = 10


class CancelOutcome(StrEnum):
    """What became of the wish."""

    DISCARDED = "discarded"  # it had not started, and is gone
    CANCELLING = "cancelling"  # it runs, and its worker was asked to stop it
    REFUSED = "refused"  # it runs where it can't be stopped
    FINISHED = "finished"  # it had ended before
    MISSING = "missing"  # nothing is known of it


@dataclass(frozen=True, slots=True)
class Cancellation:
    """`reason` is a sentence for people."""

    outcome: CancelOutcome
    reason: str

    @property
    def accepted(self) -> bool:
        """Whether the task is gone, or on its way to it."""
        return self.outcome in (CancelOutcome.DISCARDED, CancelOutcome.CANCELLING)


def cancel(queue: str, task_id: str) -> Plan[Cancellation]:
    """Waiting, delayed, blocked or dead -> gone; active -> its worker is asked."""
    broker, inspector = Broker(queue), Inspector(queue)
    for _ in range(_LOOKS):
        [found] = yield [broker.cancel(task_id)]
        if found != "active":
            return _told(CancelOutcome(found))
        [task] = yield [inspector.get(task_id)]
        if task is None:
            continue
        [known] = yield [inspector.task_manifest(task.name)]
        if known is not None and known.run_in == "thread":
            return _told(CancelOutcome.REFUSED)
        [answer] = yield [broker.ask_to_stop(task_id)]
        if answer == "asked":
            return _told(CancelOutcome.CANCELLING)
    return Cancellation(CancelOutcome.REFUSED, "it moves on whenever it is looked at; try again")


def _told(outcome: CancelOutcome) -> Cancellation:
    return Cancellation(outcome, _REASONS[outcome])


_REASONS: Final = {
    CancelOutcome.DISCARDED: "it had not started, and is discarded",
    CancelOutcome.CANCELLING: "it is running; its worker was asked to stop it",
    CancelOutcome.REFUSED: "it is running in a thread, which can't be stopped: it will come to its end. "
    "An async handler, or one with run_in='process', can be cancelled while it runs",
    CancelOutcome.FINISHED: "it has finished already",
    CancelOutcome.MISSING: "is not known: it was never enqueued, was discarded, or its kept status has expired",
}
