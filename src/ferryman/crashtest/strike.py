"""Strike: a kill as it was done: whose executions it may have interrupted, when, and who could not reach Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: How long after a task's end a worker that can reach Redis may take to tell it.
TOLD_WITHIN_MS: Final = 1_000
#: And after Redis was away: workers try again with pauses of up to 2 s.
TOLD_AFTER_OUTAGE_MS: Final = 4_000
#: A worker that is told to end lets its tasks run on for so long.
GRACE_MS: Final = 25_000
#: A worker whose promise has run out notices within this time that it is no longer the owner, and stops its code.
FENCED_WITHIN_MS: Final = 2_500

#: After Redis was away, workers and their beats have found it again within this part of the worker timeout.
_FOUND_AGAIN: Final = 1 / 4
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Strike:
    """Between `from_ms` and `to_ms` the process `hits` may have lost what it ran ("" = none, "*" = any process).

    `gently`: the process was asked to end. It must have let its tasks run until `stops_at_ms`, when its grace was over
    or it was told not to wait, and have told every outcome; only what it stopped from then on may run again.
    `stops_first`: the process can stop its code, and must have done so before a task of it runs elsewhere.
    `is_outage`: Redis was away from `from_ms` to `to_ms`; `forgets_ms`: what Redis had acknowledged in this time
    before `from_ms` may be gone (0 = nothing).
    `slows`: a process ("*" = any) whose connections failed from `from_ms` to `back_ms` (0 = `to_ms`). What it had to
    tell came late, or twice; that alone is no reason for any task to run again.
    """

    number: int
    kind: str
    target: str
    from_ms: float
    to_ms: float
    hits: str = ""
    gently: bool = False
    is_outage: bool = False
    forgets_ms: float = 0.0
    stops_at_ms: float = _NEVER
    stops_first: bool = False
    slows: str = ""
    back_ms: float = 0.0

    def hinders(self, process: str) -> bool:
        """Whether this process could not tell Redis what it did, or not at once."""
        return self.is_outage or self.slows in ("*", process)

    @property
    def hindered_until_ms(self) -> float:
        """When a process that is hindered must have told Redis what it had to tell."""
        after_ms = TOLD_AFTER_OUTAGE_MS if self.is_outage else TOLD_WITHIN_MS
        return (self.back_ms or self.to_ms) + after_ms


def ends_every_promise(away_ms: float, worker_timeout_ms: int) -> bool:
    """Whether Redis was away for so long that no worker could keep its promise: all have stopped their tasks."""
    return away_ms > worker_timeout_ms * (1 - _FOUND_AGAIN)
