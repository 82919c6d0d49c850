"""The head line: where we are looking, how many queues there are, and how many want to be looked at. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ferryman.dev.top.cells import amount, fit, sparkline
from ferryman.dev.top.selection import Order
from ferryman.dev.top.tables import QueueRow, done, noticed, oldest


@dataclass(frozen=True, slots=True)
class Head:
    """How many queues there are, are listed, and want to be looked at; and how the list is sorted."""

    queues: int
    listed: int
    troubled: int
    order: Order


def head_line(where: str, head: Head, width: int) -> str:
    """The numbers always; the address and the program's name when there is room."""
    numbers = f"{head.queues:,} queue{'' if head.queues == 1 else 's'}, {head.troubled or 'none'} to look at"
    if head.listed != head.queues:
        numbers = f"{head.listed:,} of {numbers}"
    if head.order is not Order.NAME:
        numbers += f", by {head.order.value}"
    for left in (f"ferryman top  {where}", where):
        if len(left) + len(numbers) + 2 <= width:
            return left + fit(numbers, width - len(left), right=True)
    return fit(numbers, width)


def about(row: QueueRow, width: int) -> str:
    """The chosen queue in a line or two: what the list has no room for."""
    said = noticed(row) or "nothing to notice"
    line = fit(f"{row.name}: {said}", width)
    if row.stats is None or width >= 80:
        return line
    minute, delayed = sparkline(row.samples.waiting(8)), amount(row.stats.delayed)
    figures = f"{minute} {done(row.samples)}/s, oldest {oldest(row.stats)}, {delayed} delayed"
    return f"{line}\n{fit(figures, width)}"
