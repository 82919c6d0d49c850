"""Floors: below which ratio a change has made something slower, and when a measurement says so for certain. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from tables.statistics import Ratio, ratio

#: However steady a measurement was, so much of it may be chance on another day.
LEAST_MARGIN: Final = 0.10
#: How many times the pairs' usual distance from their median; 4 is rarely passed by chance.
SPREADS: Final = 4.0


class Floor(msgspec.Struct, frozen=True):
    """`measured` is the median ratio it was derived from, `spread` how far pairs usually lay from it (as a share)."""

    floor: float
    measured: float
    spread: float
    pairs: int
    load: float


def derived(above: Sequence[float], below: Sequence[float], load: float) -> Floor:
    """The floor under these pairs: what was measured less a margin. Raises ValueError when there is no pair."""
    found = ratio(above, below)
    if found is None:
        raise ValueError("there is no pair to derive a floor from")
    pairs = [one / other for one, other in zip(above, below, strict=True) if other]
    spread = statistics.median(abs(one - found.median) for one in pairs) / found.median
    margin = max(LEAST_MARGIN, SPREADS * spread / len(pairs) ** 0.5)
    return Floor(round(found.median * (1 - margin), 4), round(found.median, 4), round(spread, 4), len(pairs), load)


def is_below(found: Ratio, floor: Floor) -> bool:
    """Whether even the upper end of what it may be lies under the floor: noise alone fails nothing."""
    return found.high < floor.floor


def read(path: Path) -> Mapping[str, Floor]:
    """The floors by name. Raises OSError or msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Floor])


def write(path: Path, floors: Mapping[str, Floor]) -> None:
    """As JSON, to be committed."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(floors), indent=2) + b"\n")
