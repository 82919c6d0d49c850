"""Retry: raised by a handler that knows when its task should run again."""

from __future__ import annotations

from ferryman.durations import Duration, parse_duration


class Retry(Exception):
    """Run this task again: a wish, not a failure, so no traceback is logged.

    `delay`: how long to wait; None = the task's backoff.
    `spend`: False leaves the attempts untouched, as for a rate limit that is nobody's fault.
    `reason`: kept with the task and shown by `ferryman show`.

    Raises ValueError when `delay` is not a duration.
    """

    def __init__(self, delay: Duration | None = None, spend: bool = True, reason: str = "") -> None:
        self.delay_s: float | None = None if delay is None else parse_duration(delay)
        self.spend = spend
        self.reason = reason
        super().__init__(delay, spend, reason)  # as given, so that it survives the way out of a process pool

    def __str__(self) -> str:
        when = "after its backoff" if self.delay_s is None else f"in {self.delay_s:g} s"
        return f"run again {when}" + (f": {self.reason}" if self.reason else "")
