"""Which queues are listed, in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from fnmatch import fnmatchcase

from ferryman.inspector import QueueStats
from ferryman.overview import severity


class Order(Enum):
    """What the list is sorted by."""

    NAME = "name"
    TROUBLE = "trouble"
    DEAD = "dead"
    WAITING = "waiting"
    OLDEST = "oldest"

    def next(self) -> Order:
        """The one after it, round and round."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


def selected(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Those that one of `patterns` matches, `*` and `?` standing for anything; without patterns all."""
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def containing(names: Iterable[str], text: str) -> list[str]:
    """Those with `text` somewhere in their name; `*` and `?` stand for anything."""
    return selected(names, [f"*{text.lower()}*"] if text else [])


def ordered(names: Iterable[str], figures: Mapping[str, QueueStats], order: Order) -> list[str]:
    """By name, or the largest figure first; queues that were not read yet come last."""
    by_name = sorted(names)
    if order is Order.NAME:
        return by_name
    return sorted(by_name, key=lambda name: -_weight(figures.get(name), order))


def _weight(stats: QueueStats | None, order: Order) -> float:
    if stats is None:
        return -1.0
    if order is Order.TROUBLE:
        return severity(stats)
    if order is Order.OLDEST:
        return stats.oldest_waiting_s if stats.waiting else 0.0
    return stats.dead if order is Order.DEAD else stats.waiting


def turn_of(names: Sequence[str], turn: int, share: int) -> list[str]:
    """The next `share` of `names`, round and round; `turn` goes up by one each time."""
    if not names:
        return []
    start = turn * share % len(names)
    return [*names[start:], *names[:start]][:share]
