"""Kinds: of what there may be many, how many, how they come to be, and what is then done to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from growing import fleets, operations
from growing.growth import Line
from growing.stage import TOMORROW_MS, Stage

from ferryman.link import SyncLink
from ferryman.policy import QueuePolicy

#: What is known to grow, and why that is borne, by kind and operation.
KNOWN: Final = {
    ("workers", "stats, exact"): "for a proof each worker's list is counted, whatever it costs",
    ("queues", "names of all queues (for the roster)"): "it is asked for all names, once a second",
}

TASKS: Final = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True, slots=True)
class Kind:
    """`grow` adds to the names it is given until there are `size`; `operate` does each operation at that size."""

    name: str
    title: str
    sizes: tuple[int, ...]
    grow: Callable[[Stage, list[str], int], None]
    operate: Callable[[Stage, int, list[str]], None]
    unit: str = ""  # what one of them is called where its bytes are told
    ranked: bool = False


def _put(stage: Stage, ids: list[str], size: int) -> None:
    """Anew, or those that were cancelled at the last size would stand in line."""
    stage.clear()
    ids[:] = stage.put(size)


def _put_delayed(stage: Stage, ids: list[str], size: int) -> None:
    ids[:] = stage.put(size - stage.run(stage.inspector.stats()).delayed, TOMORROW_MS)


def _bury(stage: Stage, ids: list[str], size: int) -> None:
    """Past the scripts, as a million deaths would take too long: those that were delayed are dead."""
    ids[:] = stage.put(size - stage.run(stage.inspector.stats()).dead, TOMORROW_MS)
    keys = stage.keys
    now_ms = time.time() * 1000
    share = now_ms / (now_ms + TOMORROW_MS)  # so that they have died just now, and no retention is over
    stage.say("ZUNIONSTORE", keys.dead, 2, keys.dead, keys.delayed, "WEIGHTS", 1, share)
    stage.say("DEL", keys.delayed)


def _complete(stage: Stage, ids: list[str], size: int) -> None:
    stage.run(QueuePolicy(stage.broker.queue).write({"completed_max": 10_000_000}, 1))
    ids[:] = stage.put(size - int(stage.say("ZCARD", stage.keys.completed)))
    stage.work_off(stage.run(stage.inspector.stats()).waiting)


KINDS: Final = (
    Kind("waiting", "tasks that wait", TASKS, _put, operations.waiting, "a waiting task"),
    Kind(
        "ranked", "tasks that wait, each with a priority", TASKS[:3], _put, operations.waiting, "with a priority", True
    ),
    Kind("delayed", "delayed tasks", TASKS, _put_delayed, operations.delayed, "a delayed task"),
    Kind("dead", "dead tasks", TASKS[:3], _bury, operations.dead),
    Kind("completed", "kept statuses of completed tasks", TASKS[:3], _complete, operations.completed, "a kept status"),
    Kind("workers", "workers of one queue", (100, 900, 10_000), fleets.grow_workers, fleets.workers, "a worker"),
    Kind("queues", "queues in one Redis", (10, 100, 500), fleets.grow_queues, fleets.queues, "a queue with one task"),
)


def measured(
    kind: Kind, link: SyncLink, samples: int, largest: int, tell: Callable[[str], None]
) -> tuple[list[Line], float]:
    """A line for each operation, and the bytes that one of the kind occupies at the largest size."""
    stage = Stage(link, samples, ranked=kind.ranked)
    names: list[str] = []
    found: dict[str, dict[int, tuple[float, float, float]]] = {}
    empty, sizes, bytes_each = stage.used_bytes(), _sizes(kind.sizes, largest), 0.0
    for size in sizes:
        tell(f"{size:,} {kind.title}")
        kind.grow(stage, names, size)
        stage.settle()
        bytes_each = (stage.used_bytes() - empty) / size
        kind.operate(stage, size, names)
        for name, cost in stage.gauge.costs().items():
            found.setdefault(name, {})[size] = (cost.median_us, cost.p99_us, cost.commands)
    lines = [
        Line(kind.title, name, *({size: at[size][part] for size in at} for part in range(3)))
        for name, at in found.items()
    ]
    return lines, bytes_each


def _sizes(sizes: Sequence[int], largest: int) -> list[int]:
    return [size for size in sizes if size <= largest] or [sizes[0]]
