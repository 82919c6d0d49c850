"""What is sold, as it travels: plain dataclasses, which FastAPI reads from requests and Ferryman from tasks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """So many pieces of one article."""

    sku: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the customer placed it."""

    number: int
    email: str
    cents: int
    lines: tuple[Line, ...] = ()
