"""Text that fits into the cells of a terminal."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, set_cell_size

_BARS: Final = "▁▂▃▄▅▆▇█"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly `width` cells; what is too long ends in an ellipsis."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if right else text + " " * (width - length)


def amount(number: float) -> str:
    """A count in at most six cells: 0, 99,999, 123k, 4.5M."""
    if number < 100_000:
        return f"{number:,.0f}"
    for unit in "kMGTPE":
        number /= 1000
        if number < 9.95:
            return f"{number:.1f}{unit}"
        if number < 999.5:
            return f"{number:.0f}{unit}"
    return "many"


def sparkline(values: list[float | None]) -> str:
    """A bar per value, the largest the highest; 0 is the lowest bar, unknown is a blank."""
    top = max((value for value in values if value is not None), default=0)
    return "".join(" " if value is None else _bar(value, top) for value in values)


def _bar(value: float, top: float) -> str:
    if value <= 0 or top <= 0:
        return _BARS[0]
    return _BARS[max(1, round(value / top * (len(_BARS) - 1)))]
