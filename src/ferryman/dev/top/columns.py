"""Columns: which of them fit into a width, and how a row looks in those. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from ferryman.dev.top.cells import fit

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Column(Generic[R]):
    """One column. Those with the smallest `rank` find room first; they stand in the order of their table."""

    title: str
    width: int  # the least, in cells
    text: Callable[[R, int], str]  # of a row, in so many cells
    rank: int
    right: bool = True
    most: int = 0  # it grows up to this when there is room left, those with the smallest first


@dataclass(frozen=True, slots=True)
class Layout(Generic[R]):
    """Columns with the widths they got."""

    placed: tuple[tuple[Column[R], int], ...]

    def heading(self) -> str:
        """The columns' titles."""
        return " ".join(fit(column.title, width, right=column.right) for column, width in self.placed)

    def line(self, row: R) -> str:
        """A row, as wide as the heading."""
        return " ".join(fit(column.text(row, width), width, right=column.right) for column, width in self.placed)


def laid_out(columns: Sequence[Column[R]], width: int) -> Layout[R]:
    """As many columns as fit into `width`; the first by rank always does, shortened if it must be."""
    by_rank = sorted(columns, key=lambda column: column.rank)
    taken = {by_rank[0].title: min(by_rank[0].width, width)}
    left = width - taken[by_rank[0].title]
    for column in by_rank[1:]:
        if column.width + 1 <= left:
            taken[column.title] = column.width
            left -= column.width + 1
    for column in sorted(by_rank, key=lambda column: column.most):
        if column.title in taken and left > 0:
            more = min(left, max(0, column.most - taken[column.title]))
            taken[column.title] += more
            left -= more
    return Layout(tuple((column, taken[column.title]) for column in columns if column.title in taken))


def by_width(columns: Sequence[Column[R]]) -> Callable[[int], Layout[R]]:
    """`laid_out` of these, worked out once per width: a table asks for it again for each of its lines."""
    return cache(lambda width: laid_out(columns, width))
