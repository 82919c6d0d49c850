"""Numbers as Grafana writes them: a value, the unit of its field, and how many decimals."""

import math
from collections.abc import Sequence

_SHORT = ((1e12, " Tri"), (1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))
_SECONDS = (
    (604_800.0, " weeks"),
    (86_400.0, " days"),
    (3_600.0, " hours"),
    (60.0, " mins"),
    (1.0, " s"),
    (1e-3, " ms"),
    (1e-6, " µs"),
    (1e-9, " ns"),
)
_PER_SECOND = {"ops": " ops/s", "reqps": " req/s"}


def written(value: float | None, unit: str = "short", decimals: int | None = None) -> str:
    """The text for a value; "-" where there is none."""
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit == "percentunit":
        return f"{_number(value * 100, decimals)}%"
    if unit == "s":
        return _seconds(value, decimals)
    if unit == "bytes":
        return _scaled(value, _BYTES, " B", decimals)
    if unit in _PER_SECOND:
        scaled = _scaled(value, [(bound, suffix.strip()) for bound, suffix in _SHORT], "", decimals)
        return scaled + _PER_SECOND[unit]
    if unit == "none":
        return _number(value, decimals)
    return _scaled(value, _SHORT, "", decimals)


def _seconds(value: float, decimals: int | None) -> str:
    size = abs(value)
    if size == 0:
        return _number(0, decimals) + " s"
    for bound, suffix in _SECONDS:
        if size >= bound:
            return _number(value / bound, decimals) + suffix
    return "0 s"


def _scaled(value: float, steps: Sequence[tuple[float, str]], base: str, decimals: int | None) -> str:
    for bound, suffix in steps:
        if abs(value) >= bound:
            return _number(value / bound, decimals) + suffix
    return _number(value, decimals) + base


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == int(value):
        return str(int(value))
    # Three digits that say something, as Grafana's own choice of decimals does.
    places = max(0, min(6, 2 - math.floor(math.log10(abs(value)))))
    words = f"{value:.{places}f}"
    return words.rstrip("0").rstrip(".") if places else words
