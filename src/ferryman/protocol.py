"""The protocol's number, and what its replies look like as Python values."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from ferryman.cause import Cause

#: What this code writes into Redis and understands. A difference of one is accepted both ways (rolling upgrades).
PROTOCOL: Final = 1


class ExitReply(StrEnum):
    """The answer to every exit from `active`."""

    OK = "ok"
    DEAD = "dead"  # done, and the task's crash budget is spent
    CANCELLED = "cancelled"  # done: somebody had cancelled it, so it ended instead of going round again
    NOT_HELD = "not_held"  # a resend, or the task moved on: drop the outcome
    UNREGISTERED = "unregistered"  # this worker was declared dead: stop


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One task in the hands of one worker. `token` fences the exit of this delivery.

    A Struct because one is made per task: a frozen dataclass takes ten times as long to make.
    """

    id: str
    name: str
    args: bytes
    options: bytes
    attempt: int  # this run's number, the first is 1
    token: int
    enqueued_ms: int
    waiting_since_ms: int
    suspect: bool  # two workers died with it: run it alone
    parks: int  # times it was put aside because no handler knew its name
    crashes: int


class Fetched(msgspec.Struct, frozen=True):
    """`reply` is ok, unregistered, held, draining or alone; only ok carries tasks."""

    reply: str
    now_ms: int
    waiting: int  # left in the list
    tasks: list[Delivery] = msgspec.field(default_factory=list)


class Completion(msgspec.Struct, frozen=True, gc=False):
    """A task that ended well. `result` is empty, or as `kept_result` and `refused_result` make it."""

    id: str
    token: int
    run_ms: int = 0
    result: bytes = b""


class Step(msgspec.Struct, frozen=True, gc=False):
    """How far a running task has come; `progress` is JSON."""

    id: str
    token: int
    progress: bytes


def kept_result(keep_ms: int, result: bytes) -> bytes:
    """A result (JSON) that is kept for so long."""
    return b"%d:=%b" % (keep_ms, result)


def refused_result(keep_ms: int, why: str) -> bytes:
    """Why there is no result, where one should be kept."""
    return b"%d:!%b" % (keep_ms, why.encode())


class Expired(msgspec.Struct, frozen=True):
    """Tasks that were discarded because their deadline had passed; `seen` is how many deadlines had."""

    count: int
    seen: int
    next_ms: int | None
    now_ms: int


class Mended(msgspec.Struct, frozen=True):
    """What was repaired in lanes, and how many lanes and blocked tasks the next call passes over; -1 = all seen."""

    count: int
    lanes: int
    blocked: int


class Outcomes(msgspec.Struct, frozen=True):
    """The answer to a batch of exits; ids in `not_held` were not moved."""

    reply: ExitReply
    not_held: list[str]


class Promoted(msgspec.Struct, frozen=True):
    """`next_due_ms` is when the first still delayed task is due (epoch), `lag_ms` how late the latest one was."""

    count: int
    next_due_ms: int | None
    lag_ms: int
    now_ms: int


class Advanced(msgspec.Struct, frozen=True):
    """Steps of workflows that were gone, those that are left, and workflows that were discarded half sent."""

    steps: int
    left: int
    abandoned: int


class Recovery(msgspec.Struct, frozen=True):
    """One look at one worker: alive, suspected, vouched, dead or unknown; and what was moved."""

    verdict: str
    waiting: int
    dead: int
    left: int  # call again while it is above 0
    cause: Cause | None = None  # of a dead worker
    tasks: tuple[tuple[str, str], ...] = ()  # (id, outcome) of those moved: recovered, crashed (was charged) or dead


class Moved(msgspec.Struct, frozen=True):
    """Ids that a person moved, and how many are left in that state."""

    ids: list[str]
    left: int


class Trimmed(msgspec.Struct, frozen=True):
    """Kept statuses forgotten, and dead tasks discarded."""

    completed: int
    dead: int
