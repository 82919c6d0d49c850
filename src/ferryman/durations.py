"""Durations as people write them: "500ms", "10s", "1m30s", "2h", a number of seconds, or a timedelta.

Used wherever a person gives a duration: enqueue options, decorators, the CLI, settings and TaskQueue specs.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

#: What is accepted as a duration. A number, and a text that is only a number, are seconds.
Duration = str | int | float | timedelta

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")

#: Longer ones are taken for a mistake, such as milliseconds given as seconds.
_LONGEST_S: Final = 100 * 365 * 86400.0


def parse_duration(value: Duration) -> float:
    """Return `value` in seconds, zero or more.

    Raises ValueError, with a sentence that shows what would be accepted.
    """
    seconds = _seconds(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration can't be {value!r}; write zero or more, such as '10s'")
    if seconds > _LONGEST_S:
        raise ValueError(f"{value!r} is over a hundred years; numbers without a unit are seconds")
    return seconds


def duration_ms(value: Duration) -> int:
    """Return `value` in whole milliseconds, rounded up so that a short wait never becomes none.

    Raises ValueError as parse_duration does.
    """
    milliseconds = parse_duration(value) * 1000
    nearest = round(milliseconds)
    # What a float can't tell from a whole number is one: "1.001s" is 1001 ms, not 1002.
    if math.isclose(milliseconds, nearest, rel_tol=1e-12, abs_tol=1e-6):
        return nearest
    return math.ceil(milliseconds)


def format_duration(seconds: float) -> str:
    """Return a text that parse_duration reads as `seconds`, to the millisecond: 90.5 -> "1m30s500ms"."""
    left_ms = round(seconds * 1000)
    parts: list[str] = []
    for unit, unit_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left_ms = divmod(left_ms, unit_ms)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _seconds(value: Duration) -> float:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        raise ValueError(f"a duration can't be {value!r}; write '10s' or a number of seconds")
    if isinstance(value, int):
        return float(max(-1, min(value, 2 * int(_LONGEST_S))))  # a huge one would not fit into a float
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text)
        if _DURATION.fullmatch(text):
            return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    raise ValueError(f"{value!r} is not a duration; write it like '500ms', '10s', '1m30s', '2h' or '30d'")
