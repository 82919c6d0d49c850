"""Waiting with a deadline: polls until something holds, and says what was seen last when it never did."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    what: str, probe: Callable[[], T], holds: Callable[[T], object], timeout_s: float, every_s: float = 0.25
) -> T:
    """The first value of `probe` that `holds`. Raises AssertionError after `timeout_s`, with the last value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = probe()
        if holds(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s; seen last: {value!r}")
        time.sleep(every_s)


def throughout(
    what: str, probe: Callable[[], T], holds: Callable[[T], object], for_s: float, every_s: float = 0.5
) -> None:
    """Raises AssertionError when `probe` gives a value that does not hold at any look within `for_s`."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        value = probe()
        assert holds(value), f"{what}: did not last; seen: {value!r}"
        time.sleep(every_s)
