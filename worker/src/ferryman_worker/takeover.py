"""Takeover: a restarted container takes back what its predecessor held (active -> front of waiting, or dead).

Who holds the slot's lock knows that the slot's last worker is gone, so no deadline has to pass. The slot names that
worker until its last task is recovered or another one registers there, and nobody registers before this has ended.
So a lost reply, or a process that dies in here, forgets nothing: whoever comes next begins again from the name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from ferryman.broker import Broker
from ferryman.cause import CONTAINER_RESTARTED, Cause
from ferryman.plan import Plan
from ferryman.recovery_log import tell_recovered
from ferryman.workers import WorkerRegistry

logger = logging.getLogger(__name__)


class Takeover(msgspec.Struct, frozen=True):
    """What became of the tasks of `predecessor`."""

    predecessor: str
    waiting: int
    dead: int
    cause: Cause


class Tally(Protocol):
    """Counts recovered tasks."""

    def count(self, cause: Cause, waiting: int, dead: int) -> None: ...


def take_over(queue: str, slot: str, is_mine: Callable[[str], bool] = lambda worker: False) -> Plan[Takeover | None]:
    """Recovers the last worker of `slot`; None when there is nothing to recover.

    Whoever may run while this process registers says which ids are its own: it must not declare itself dead.
    """
    registry, broker = WorkerRegistry(queue), Broker(queue)
    [predecessor] = yield [registry.in_slot(slot)]
    if predecessor is None or is_mine(predecessor):
        return None
    [registered] = yield [registry.declare_dead(predecessor, CONTAINER_RESTARTED)]
    waiting = dead = 0
    cause = Cause.RESTARTED
    while registered:
        [recovery] = yield [broker.recover(predecessor)]
        if recovery.verdict != "dead":
            break  # somebody else recovers the rest
        tell_recovered(logger, queue, predecessor, recovery)
        waiting += recovery.waiting
        dead += recovery.dead
        cause = recovery.cause or cause
        if not recovery.left:
            return Takeover(predecessor, waiting, dead, cause)
    return Takeover(predecessor, waiting, dead, cause) if waiting or dead else None


def tell(taken: Takeover, tally: Tally) -> None:
    """Logs and counts it."""
    tally.count(taken.cause, taken.waiting, taken.dead)
    logger.info(
        "recovered %s of this container: %d to waiting, %d to dead", taken.predecessor, taken.waiting, taken.dead
    )
