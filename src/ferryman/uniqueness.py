"""Uniqueness: how long a task's unique key keeps others out, and what becomes of one that it keeps out."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from ferryman.durations import Duration, duration_ms
from ferryman.errors import InvalidTask
from ferryman.terms import Terms

#: When a unique key is free again: when its task has ended, or as soon as a worker has fetched it.
UniqueFor = Literal["until_done", "while_waiting"]

#: Longer than this is taken for a mistake: 30 days.
LONGEST_MS: Final = 2_592_000_000


def unique_terms(
    unique: str, unique_for: UniqueFor | None, throttle: Duration | None, debounce: Duration | None, timed: bool
) -> Terms:
    """What the options say about the key `unique`; `timed` = there is a delay or a moment too.

    Raises InvalidTask naming the option that is wrong, or does not go with the others.
    """
    given = {"unique_for": unique_for, "throttle": throttle, "debounce": debounce}
    ways = [name for name, value in given.items() if value is not None]
    if not ways:
        return Terms()
    if not unique:
        raise InvalidTask(ways[0], "says how the key unique= works, and there is none; give both")
    if len(ways) > 1:
        raise InvalidTask(ways[1], f"{ways[0]} and {ways[1]} exclude each other; give one")
    if unique_for is not None:
        if unique_for not in get_args(UniqueFor):
            raise InvalidTask("unique_for", f"{unique_for!r} is neither 'until_done' nor 'while_waiting'")
        return Terms(unique_for="while_waiting") if unique_for == "while_waiting" else Terms()
    if throttle is not None:
        return Terms(throttle_ms=_window_ms("throttle", throttle))
    if timed:
        raise InvalidTask("debounce", "decides when the task runs; leave delay and at out")
    return Terms(debounce_ms=_window_ms("debounce", debounce))


def _window_ms(option: str, value: Any) -> int:
    try:
        window_ms = duration_ms(value)
    except (ValueError, OverflowError) as error:
        raise InvalidTask(option, str(error)) from None
    if not 1 <= window_ms <= LONGEST_MS:
        raise InvalidTask(option, f"{value!r} is not from 1 ms to 30 days")
    return window_ms
