"""Backoff: how long a failed task waits before its next attempt. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential: `initial_s` after the first attempt, then `factor` times longer each time, at most `max_s`.

    With `jitter` each wait is drawn between half of that and all of it, so that tasks which failed together
    don't come back together. Durations are seconds. Raises ValueError on a negative or endless one.
    """

    initial_s: float = 1.0
    factor: float = 2.0
    max_s: float = 600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        for field, least in (("initial_s", 0.0), ("factor", 1.0), ("max_s", 0.0)):
            value: float = getattr(self, field)
            if not (least <= value < math.inf):
                raise ValueError(f"backoff {field}={value!r}: it should be a number from {least:g} up")


def retry_delay_ms(backoff: Backoff, attempt: int, draw: Callable[[], float] = random.random) -> int:
    """Return the wait after `attempt` (the run that failed, 1 = the first) in milliseconds.

    `draw` returns the jitter, from 0 to 1.
    """
    try:
        seconds = backoff.initial_s * backoff.factor ** max(attempt - 1, 0)
    except OverflowError:
        seconds = backoff.max_s
    seconds = min(seconds, backoff.max_s)
    if backoff.jitter:
        seconds *= 0.5 + 0.5 * draw()
    return round(seconds * 1000)
