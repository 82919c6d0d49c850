"""Recovery: how long tasks that were in flight at a kill waited until they started again. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from ferryman.crashtest.execution_log import Execution
from ferryman.crashtest.strike import Strike


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What one kill did: executions in flight at it, and the waits (s) of those that had to start again."""

    strike: Strike
    in_flight: int
    waits_s: Sequence[float]


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds, over `count` samples; zeros when there is none."""

    count: int
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """By nearest rank: every figure is one that was measured."""
        ranked = sorted(samples)
        if not ranked:
            return cls(0, 0.0, 0.0, 0.0)
        return cls(len(ranked), *(ranked[ceil(share * len(ranked)) - 1] for share in (0.5, 0.99, 1.0)))

    def to_json_dict(self) -> dict[str, float]:
        """To the millisecond."""
        return {"count": self.count, **{name: round(getattr(self, name), 3) for name in ("p50", "p99", "max")}}


def aftermaths(executions: Sequence[Execution], strikes: Sequence[Strike]) -> list[Aftermath]:
    """One for each kill, in their order. A kill that interrupts nothing by itself counts what ran beside it."""
    by_process: dict[str, list[Execution]] = defaultdict(list)
    by_id: dict[str, list[Execution]] = defaultdict(list)
    for execution in sorted(executions, key=lambda one: one.start_ms):
        by_process[execution.process].append(execution)
        by_id[execution.id].append(execution)
    found = []
    for strike in strikes:
        process = strike.hits or strike.slows
        candidates = executions if strike.is_outage or process == "*" else by_process[process] if process else ()
        in_flight = [
            one
            for one in candidates
            if one.start_ms <= strike.from_ms and (one.end_ms is None or one.end_ms > strike.from_ms)
        ]
        waits = [_next_start(one, by_id[one.id], strike.from_ms) for one in in_flight] if strike.hits else []
        found.append(Aftermath(strike, len(in_flight), [wait / 1_000 for wait in waits if wait is not None]))
    return found


def _next_start(execution: Execution, same_id: Sequence[Execution], after_ms: float) -> float | None:
    position = bisect_right(same_id, after_ms, key=lambda one: one.start_ms)
    following = same_id[position] if position < len(same_id) else None
    # A later attempt follows a failure as planned: nobody waited for a recovery.
    return following.start_ms - after_ms if following and following.attempt == execution.attempt else None
