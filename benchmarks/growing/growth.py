"""Growth: whether an operation's cost follows the size of what it works on, and the table that shows it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from tables.page import lines_of
from tables.table import number

#: cost ~ size ** exponent. log n over three powers of ten is 0.1 at the least sizes; colder caches add to it.
#: What reads everything has 1.
MOST_EXPONENT: Final = 0.3

#: Below this no growth tells anything (us): a cache line more or less would decide.
UNFELT_US: Final = 30.0


class Line(msgspec.Struct, frozen=True):
    """One operation: its median and 99 % in microseconds of Redis, and its commands, at each size."""

    kind: str  # of what there are so many
    operation: str
    median_us: Mapping[int, float]
    p99_us: Mapping[int, float]
    commands: Mapping[int, float]

    @property
    def sizes(self) -> list[int]:
        """From small to large."""
        return sorted(self.median_us)

    @property
    def ratio(self) -> float:
        """The cost at the largest size over that at the smallest."""
        return self.median_us[self.sizes[-1]] / max(self.median_us[self.sizes[0]], 1.0)

    @property
    def exponent(self) -> float:
        """Of the power of the size that the cost grew with; below 0 it shrank."""
        return self._exponent_from(self.sizes[0])

    @property
    def last_exponent(self) -> float:
        """The same from a tenth of the largest size on, or from the smallest; none of what is bounded."""
        return self._exponent_from(
            max((size for size in self.sizes if size * 10 <= self.sizes[-1]), default=self.sizes[0])
        )

    @property
    def holds(self) -> bool:
        """Whether it grew no faster than a logarithm, or no longer does, as far as that can be told."""
        exponent = min(self.exponent, self.last_exponent)
        return self.median_us[self.sizes[-1]] < UNFELT_US or exponent <= MOST_EXPONENT

    def _exponent_from(self, smallest: int) -> float:
        largest = self.sizes[-1]
        ratio = self.median_us[largest] / max(self.median_us[smallest], 1.0)
        return math.log(max(ratio, 1e-9)) / math.log(largest / smallest) if largest > smallest else 0.0


class Scale(msgspec.Struct, frozen=True):
    """What one run found. `bytes_each` is what one of a kind occupies in Redis."""

    taken_at: str
    load: float
    server: str
    samples: int
    lines: list[Line]
    bytes_each: Mapping[str, float]


def table(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """A head and a row for each operation of one kind."""
    sizes = lines[0].sizes
    head = ("operation", *(f"{size:,}" for size in sizes), "99 % at the most", "commands", "grew")
    rows = [
        (
            line.operation,
            *(f"{line.median_us[size]:,.0f}" for size in sizes),
            f"{line.p99_us[sizes[-1]]:,.0f}",
            number(line.commands[sizes[-1]]),
            f"{number(line.ratio)}x" + ("" if line.holds else " **with the size**"),
        )
        for line in lines
    ]
    return [head, *rows]


def text(found: Scale) -> str:
    """For a terminal."""
    parts = []
    for kind, lines in _by_kind(found.lines).items():
        shown = table(lines)
        widths = [max(len(row[place]) for row in shown) for place in range(len(shown[0]))]
        parts.append(f"{kind} (us in Redis, median)")
        parts += ["  " + "  ".join(_aligned(row, widths)).rstrip() for row in shown] + [""]
    parts += [f"{name}: {value:,.0f} bytes" for name, value in found.bytes_each.items()]
    return "\n".join(parts)


def markdown(found: Scale) -> str:
    """For a page."""
    parts = [
        f"{found.taken_at}, {found.server}, load {found.load:.1f}; microseconds in Redis by its own log, the median of "
        f"{found.samples} calls at each size."
    ]
    for kind, lines in _by_kind(found.lines).items():
        parts += ["", f"**{kind}**", "", *lines_of(table(lines))]
    sizes = [(name, f"{value:,.0f}") for name, value in found.bytes_each.items()]
    parts += ["", *lines_of([("what", "bytes in Redis"), *sizes])]
    return "\n".join(parts)


def _by_kind(lines: Sequence[Line]) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.kind, []).append(line)
    return found


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *(word.rjust(width) for word, width in others)]
