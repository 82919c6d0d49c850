"""Statistics of repetitions: medians, spreads, and ratios of runs that were made side by side. Pure."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """Some repetitions of one figure."""

    median: float
    low: float
    high: float
    count: int

    @property
    def spread(self) -> float:
        """How far apart they are, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """One over another, by pairs; `low` to `high` holds the true one in 95 of 100 cases, by bootstrap."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Raises ValueError without any."""
    if not values:
        raise ValueError("no repetition was left to sum up")
    return Summary(statistics.median(values), min(values), max(values), len(values))


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of them lies, nearest rank; `ordered` goes up. Raises ValueError without any."""
    if not ordered:
        raise ValueError("no value was left to take a quantile of")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(above: Sequence[float], below: Sequence[float]) -> Ratio | None:
    """`above` over `below`, pair by pair: what one repetition measured of both, minutes apart from the others.

    The machine's speed wanders between repetitions and hardly within one, so that pairs say more than two medians.
    None when there is no pair, or when what is below is 0.
    """
    pairs = [one / other for one, other in zip(above, below, strict=False) if other]
    if not pairs:
        return None
    chance = random.Random(1)
    drawn = sorted(statistics.median(chance.choices(pairs, k=len(pairs))) for _ in range(1_000))
    return Ratio(statistics.median(pairs), drawn[25], drawn[974])
