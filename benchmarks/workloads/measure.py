"""What a workload is to the program that runs it, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from peers.peer import Peer
from workloads.ground import Ground

#: What one run found, by the figure's name.
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table: what it is, in which unit, and whether more is better."""

    name: str
    title: str
    unit: str
    more_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """`run` is given the ground, a peer, and how much of the usual load (1 = all) it is to be. It may raise Void."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    run: Callable[[Ground, Peer, float], Figures]


def part_of(tasks: int, scale: float, least: int = 50) -> int:
    """So many tasks at that scale."""
    return max(least, round(tasks * scale))
