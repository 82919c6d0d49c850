"""Due: which occurrences of a schedule are to be fired now, and which were missed. Pure.

An occurrence that is at most ten seconds late is on time, whatever the policy: so much passes when a scheduler is
restarted. What is later was missed, and `misfire` decides. Whatever an outage took, one look is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Final

from ferryman.occurrences import Timing, between, next_after, occurrences
from ferryman.schedule import Misfire, Schedule

#: An occurrence that is later than this was missed.
ON_TIME_MS: Final = 10_000

#: Occurrences that one outage lets fire at most, and up to how many missed ones are counted.
MOST_FIRED: Final = 100
MOST_COUNTED: Final = 1_000

_FIRST_LOOK_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Due:
    """Of the occurrences that have come: those to fire, in order, and how many of the others were missed.

    `until_ms` is the latest of all, fired or not; None when none has come.
    """

    fire: tuple[int, ...]
    missed: int
    until_ms: int | None


def due(schedule: Schedule, after_ms: int, now_ms: int) -> Due:
    """What has come since `after_ms`, the last occurrence that is settled."""
    timing = schedule.timing
    first = next_after(timing, after_ms)
    if schedule.suspend or first is None or first > now_ms:
        return Due((), 0, None)
    latest = _latest(timing, after_ms, now_ms)
    soon_enough = [at for at in latest if not schedule.deadline_ms or now_ms - at <= schedule.deadline_ms]
    if schedule.misfire is Misfire.ALL:
        fire = soon_enough
    else:
        fire = [at for at in soon_enough if now_ms - at <= ON_TIME_MS]
        if schedule.misfire is Misfire.LATEST and not fire:
            fire = soon_enough[-1:]
    counted = takewhile(lambda at: at <= now_ms, occurrences(timing, after_ms))
    total = sum(1 for _ in islice(counted, MOST_COUNTED + len(fire)))
    return Due(tuple(fire), total - len(fire), latest[-1])


def next_fire(schedule: Schedule, after_ms: int) -> int | None:
    """The next occurrence later than `after_ms` that will be fired; None when there is none."""
    return None if schedule.suspend else next_after(schedule.timing, after_ms)


def _latest(timing: Timing, after_ms: int, now_ms: int) -> list[int]:
    """The latest occurrences up to now, a hundred at most; there is one at least."""
    look_ms = _FIRST_LOOK_MS
    while True:
        start_ms = max(after_ms, now_ms - look_ms)
        found = between(timing, start_ms, now_ms)
        if len(found) >= MOST_FIRED or start_ms == after_ms:
            return found[-MOST_FIRED:]
        look_ms *= 4
