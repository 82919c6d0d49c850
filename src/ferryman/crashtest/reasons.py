"""Reasons: which kills explain that a task ran again. Pure.

An execution may be repeated only if something happened to its process, or to Redis' memory of it: its process was
killed, stopped or fenced while it ran, or after its end and before Redis had been told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.strike import TOLD_AFTER_OUTAGE_MS, TOLD_WITHIN_MS, Strike

#: A last line is not yet the end, but for a coroutine's: a thread or a child that is stopped may have written it and
#: not have returned, which takes as long as a busy machine lets others go first.
RETURNED_WITHIN_MS: Final = 500


def explanations(execution: Execution, strikes: Sequence[Strike]) -> list[Strike]:
    """Those that are a reason to run this task again."""
    told_ms = told_by_ms(execution, strikes)
    return [strike for strike in strikes if _explains(strike, execution, told_ms, strikes)]


def told_by_ms(execution: Execution, strikes: Sequence[Strike]) -> float:
    """When Redis must have heard how it ended; never, if it was cut off."""
    if execution.end_ms is None:
        return float("inf")
    if execution.ending is Ending.STOPPED:
        return execution.end_ms
    told_ms = execution.end_ms + TOLD_WITHIN_MS
    for outage in sorted((s for s in strikes if s.hinders(execution.process)), key=lambda s: s.from_ms):
        if outage.from_ms <= told_ms and outage.hindered_until_ms >= execution.end_ms:
            told_ms = max(told_ms, outage.hindered_until_ms)
    return told_ms


def _explains(strike: Strike, execution: Execution, told_ms: float, strikes: Sequence[Strike]) -> bool:
    if strike.hits:
        if strike.hits not in ("*", execution.process) or execution.start_ms > strike.to_ms:
            return False
        if strike.gently and not _during_outage(strike, strikes):
            return _stopped_in_the_end(strike, execution)
        return told_ms >= strike.from_ms
    if strike.forgets_ms:
        oldest_ms = strike.from_ms - strike.forgets_ms
        return told_ms >= oldest_ms and execution.start_ms <= strike.to_ms + TOLD_AFTER_OUTAGE_MS
    return False


def _stopped_in_the_end(strike: Strike, execution: Execution) -> bool:
    """Whether a process that was asked to end may have stopped it: not as long as it had to let its tasks run on."""
    if execution.end_ms is None:
        return strike.to_ms >= strike.stops_at_ms
    if execution.ending is Ending.STOPPED:
        return execution.end_ms >= strike.stops_at_ms
    # Stopped between its last line and its return: then its worker never heard how it ended.
    return not execution.in_loop and strike.stops_at_ms - RETURNED_WITHIN_MS <= execution.end_ms <= strike.to_ms


def _during_outage(strike: Strike, strikes: Sequence[Strike]) -> bool:
    return any(
        s.is_outage and s.from_ms <= strike.to_ms and s.to_ms + TOLD_AFTER_OUTAGE_MS >= strike.from_ms for s in strikes
    )
