"""Readings: what a screen of `ferryman top` needs, in one pipelined round trip of bounded size.

Only the queues on the screen are read each time, and in turn a few of the others, so that the list can be sorted and
the number of those in trouble is known. The cost of a refresh does not grow with the number of queues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from ferryman.call import Call
from ferryman.errors import BrokerError, InvalidTask
from ferryman.glance import Glances
from ferryman.inspector import Inspector, QueueStats, queues_counted, queues_known
from ferryman.lane_figures import LaneFigures, read_lanes
from ferryman.link import Link
from ferryman.task import check_queue_name
from ferryman.workers import WorkerRegistry, WorkerRow

#: Queues read in one refresh that are not on the screen.
OTHERS_PER_READING: Final = 25
#: Workers listed; a queue with more shows those that have been silent longest.
WORKERS_AT_MOST: Final = 100
#: Tasks shown of the chosen worker.
HELD_AT_MOST: Final = 10
#: Dead tasks listed, the newest.
DEAD_AT_MOST: Final = 100
#: Lanes listed, those in which most tasks stand.
LANES_AT_MOST: Final = 100


class Pane(Enum):
    """What the lower list shows of the chosen queue."""

    WORKERS = "workers"
    DEAD = "dead"
    LANES = "lanes"


@dataclass(frozen=True, slots=True)
class View:
    """What is on the screen, and so must be read. `dead_at_most` is as far as a person has scrolled."""

    known: int  # queues whose names are known already
    queues: tuple[str, ...] = ()
    chosen: str | None = None
    pane: Pane = Pane.WORKERS
    worker: str | None = None
    dead_at_most: int = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything at about one moment. From `workers` on: of the chosen queue, what the view has of it."""

    view: View
    known: int  # queues
    names: Sequence[str] | None  # of all of them, when they have changed
    figures: Mapping[str, QueueStats]
    refused: Mapping[str, str]  # queues that Redis could not read, and why
    workers: Sequence[WorkerRow] | None = None
    held: Glances | None = None
    dead: Glances | None = None
    lanes: LaneFigures | None = None


async def read(link: Link, view: View) -> Reading:
    """One round trip; a second one when there are new queues. Raises BrokerUnavailable.

    A damaged queue is no reason to show nothing of the others: what its call was refused for stands in its place.
    """
    calls: list[Call[Any]] = [queues_counted(), *(Inspector(queue).stats() for queue in view.queues)]
    details = _details(view)
    replies = await link.run_all([*calls, *details.values()])
    count, stats, rest = replies[0], replies[1 : len(calls)], replies[len(calls) :]
    names = await link.run(queues_known()) if count != view.known else None
    found = {name: reply for name, reply in zip(details, rest, strict=True) if not isinstance(reply, BrokerError)}
    by_queue = dict(zip(view.queues, stats, strict=True))
    return Reading(
        view=view,
        known=count,
        names=None if names is None else [name for name in names if _is_name(name)],
        figures={queue: reply for queue, reply in by_queue.items() if isinstance(reply, QueueStats)},
        refused={queue: str(reply) for queue, reply in by_queue.items() if isinstance(reply, BrokerError)},
        **found,
    )


def _details(view: View) -> dict[str, Call[Any]]:
    """Calls by the field of Reading that they fill."""
    if view.chosen is None:
        return {}
    if view.pane is Pane.DEAD:
        return {"dead": Inspector(view.chosen).dead(min(view.dead_at_most, DEAD_AT_MOST))}
    if view.pane is Pane.LANES:
        return {"lanes": read_lanes(view.chosen, LANES_AT_MOST)}
    calls: dict[str, Call[Any]] = {"workers": WorkerRegistry(view.chosen).list(WORKERS_AT_MOST)}
    if view.worker is not None:
        calls["held"] = Inspector(view.chosen).held(view.worker, HELD_AT_MOST)
    return calls


def _is_name(name: str) -> bool:
    try:
        return bool(check_queue_name(name))
    except InvalidTask:
        return False  # nobody's but who wrote it there by hand
