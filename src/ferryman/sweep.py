"""Sweeps: every task of one state of a queue moves on, in bounded steps.

No script loops over an unbounded set, so `revive --all` and `purge` are many small calls. A sweep takes the tasks
that were there when it began and leaves those that arrive meanwhile: a dead task that dies again, or a busy
producer, would keep it going for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.plan import Plan
from ferryman.protocol import Moved
from ferryman.task import TaskState

#: The states that a reset empties, in this order: blocked ones first, or the end of what they wait for would let them
#: go on. Active tasks are running: they end by themselves.
RESET_STATES: Final = (TaskState.BLOCKED, TaskState.WAITING, TaskState.DELAYED, TaskState.DEAD)

#: The states that can be discarded; for completed tasks that means to forget their kept status.
DISCARDABLE_STATES: Final = (*RESET_STATES, TaskState.COMPLETED)

#: Asked before each step with the number moved so far; False ends the sweep early.
GoOn = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Swept:
    """`left` is how many were in that state after the last step."""

    moved: int
    left: int


def discard_all(queue: str, state: TaskState, go_on: GoOn) -> Plan[Swept]:
    """`state` -> gone."""
    broker = Broker(queue)
    return _sweep(lambda: broker.discard(state), go_on)


def revive_all(queue: str, go_on: GoOn) -> Plan[Swept]:
    """Dead -> waiting, the oldest first."""
    broker = Broker(queue)
    return _sweep(broker.revive, go_on)


def _sweep(next_call: Callable[[], Call[Moved]], go_on: GoOn) -> Plan[Swept]:
    moved, left, at_most = 0, None, None
    while go_on(moved):
        [reply] = yield [next_call()]
        moved += len(reply.ids)
        at_most = at_most or len(reply.ids) + reply.left
        # A step over cancelled tasks moves none but shortens the line; one that does neither never will.
        stuck = not reply.ids and reply.left == left
        left = reply.left
        if left == 0 or moved >= at_most or stuck:
            break
    return Swept(moved, left or 0)
