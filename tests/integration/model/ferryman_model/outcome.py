"""Outcome: what a worker has to say about one delivery."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """How a run ends. `PARK` is for a name that no handler here has, `CRASH` for a child process that died in it."""

    WELL = "well"
    RETRY = "retry"
    RETRY_UNSPENT = "retry unspent"
    DEAD_LETTER = "dead letter"
    PARK = "park"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of one delivery, as long as Redis has not answered it. `end` None = it goes back."""

    id: str
    token: int
    life: bytes
    end: End | None
