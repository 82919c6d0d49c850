"""Run: one run of one task in a test, and what became of the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: completed; retried: it waits for its next run; dead: no further run; parked: no handler has its name; crashed: the
#: process that ran it died; cancelled: it was discarded.
Outcome = Literal["completed", "retried", "dead", "parked", "crashed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to. `error` is what is kept with the task: a sentence, then where it was raised."""

    queue: str
    task: str
    task_id: str
    attempt: int
    outcome: Outcome
    error: str = ""
    delay_s: float | None = None  # until the next run, when there is one
