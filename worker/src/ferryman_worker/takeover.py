"""Takeover: a restarted container takes back what its predecessor held (active -> front of waiting, or dead).

Who holds the slot's lock knows that the slot's last worker is gone, so no deadline has to pass. The slot names that
worker until its last task is recovered or another one registers there, and nobody registers before this has ended.
So a lost reply, or a process that dies in here, forgets nothing: whoever comes next begins again from the name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from ferryman.broker import Broker
from ferryman.plan import Plan
from ferryman.workers import WorkerRegistry

logger = logging.getLogger(__name__)

_REASON = "its process ended, and its container runs again"


@dataclass(frozen=True, slots=True)
class Takeover:
    """What became of the tasks of `predecessor`."""

    predecessor: str
    waiting: int
    dead: int


def take_over(queue: str, slot: str, is_mine: Callable[[str], bool] = lambda worker: False) -> Plan[Takeover | None]:
    """Recovers the last worker of `slot`; None when there is nothing to recover.

    Whoever may run while this process registers says which ids are its own: it must not declare itself dead.
    """
    registry, broker = WorkerRegistry(queue), Broker(queue)
    [predecessor] = yield [registry.in_slot(slot)]
    if predecessor is None or is_mine(predecessor):
        return None
    [registered] = yield [registry.declare_dead(predecessor, _REASON)]
    waiting = dead = 0
    while registered:
        [recovery] = yield [broker.recover(predecessor)]
        if recovery.verdict != "dead":
            break  # somebody else was faster
        waiting += recovery.waiting
        dead += recovery.dead
        if not recovery.left:
            return Takeover(predecessor, waiting, dead)
    return None


def tell(taken: Takeover) -> None:
    """Logs it."""
    logger.info(
        "recovered %s of this container: %d to waiting, %d to dead", taken.predecessor, taken.waiting, taken.dead
    )
