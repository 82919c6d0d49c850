"""Pace: how often to read, and what to say of figures that are no longer fresh. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ferryman.cli.output import duration

#: A reading that takes longer makes the refresh slower, and that is said.
SLOW_S: Final = 0.25
#: Readings take at most this share of the time, so that a slow link is left to others too.
_SHARE: Final = 4
#: Between tries while Redis does not answer.
_AGAIN_S: Final = 2.0


def every_s(took_s: float, interval_s: float) -> float:
    """From the start of one reading to the start of the next."""
    return max(interval_s, _SHARE * took_s)


def pause_s(took_s: float, interval_s: float, *, failed: bool = False) -> float:
    """How long to rest after a reading that took `took_s`."""
    if failed:
        return max(_AGAIN_S, interval_s)
    return every_s(took_s, interval_s) - took_s


@dataclass(frozen=True, slots=True)
class Freshness:
    """Of the figures on the screen; ages in seconds, None = there is none."""

    age_s: float | None  # since the figures were read
    waits_s: float | None  # for the reading under way
    took_s: float  # the last one
    error: str = ""


def says(fresh: Freshness, interval_s: float) -> str:
    """A remark for the head line; empty while the figures are as fresh as they should be."""
    if fresh.error or fresh.age_s is None:
        seen = "Nothing was read yet" if fresh.age_s is None else f"These figures are {duration(fresh.age_s)} old"
        return f"{seen}; trying again. {fresh.error.rstrip('.')}." if fresh.error else "Asking Redis…"
    if fresh.waits_s is not None and fresh.waits_s >= max(1.0, 2 * fresh.took_s):
        return f"Redis has not answered for {duration(fresh.waits_s)}. These figures are {duration(fresh.age_s)} old."
    if fresh.took_s >= SLOW_S:
        return f"Slow link: a refresh takes {fresh.took_s:.1f}s, one every {every_s(fresh.took_s, interval_s):.0f}s."
    return ""
