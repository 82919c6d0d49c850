"""Journal: what the collector's file says: which executions there were, which processes lived when, what was accepted.

Lines that were sent again after a broken connection count once. Times are milliseconds of the collector's clock. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ferryman.crashtest.execution_log import Execution, parse


@dataclass(frozen=True, slots=True)
class Life:
    """One worker process. It started at `started_ms` and had its app at `up_ms`; `gone_ms` None = it still lives."""

    pod: str
    process: str
    started_ms: float
    up_ms: float
    gone_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """`lives` in the order of their starts; `accepted`: task id -> when its enqueue was answered."""

    executions: Sequence[Execution]
    lives: Sequence[Life]
    accepted: Mapping[str, float]
    damaged_lines: int

    def victim(self, pod: str, at_ms: float) -> Life | None:
        """The process that lived in `pod` at that time, or was the last to live there before."""
        own = [life for life in self.lives if life.pod == pod and life.up_ms <= at_ms]
        return own[-1] if own else None

    def successor(self, life: Life) -> Life | None:
        """The next process in the same pod."""
        later = [one for one in self.lives if one.pod == life.pod and one.started_ms > life.started_ms]
        return later[0] if later else None


def read_journal(lines: Iterable[str]) -> Journal:
    """Reads the whole file."""
    lives: dict[str, Life] = {}
    accepted: dict[str, float] = {}
    of_executions: list[str] = []
    seen: set[str] = set()
    damaged = 0
    for line in lines:
        text, _, stamp = line.strip().rpartition(" ")
        word, *rest = text.split()[:4] or [""]
        try:
            at_ms = float(stamp)
            if word == "up":
                pod, process, age = rest
                lives.setdefault(process, Life(pod, process, at_ms - float(age), at_ms))
            elif word == "gone":
                # The last farewell counts: a life whose connection broke is introduced again.
                lives[rest[1]] = replace(lives[rest[1]], gone_ms=at_ms)
            elif word == "accepted":
                accepted.setdefault(rest[0], at_ms)
            elif text not in seen:
                seen.add(text)
                of_executions.append(line)
        except (ValueError, KeyError, IndexError):
            damaged += 1
    executions, nonsense = parse(of_executions)
    ordered = sorted(lives.values(), key=lambda life: life.started_ms)
    return Journal(executions, ordered, accepted, damaged + nonsense)
