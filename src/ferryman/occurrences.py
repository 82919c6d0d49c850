"""Occurrences: at which moments a schedule is due. Pure: no clock is read here.

The library `cronsim` says which times of the wall clock a cron line names. What becomes of a time that the clock of a
zone skips or shows twice is decided here, by the timing's `dst`; cronsim imitates Debian's cron in that, and its answer
depends on how the line is written.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Final

import msgspec

from ferryman.durations import format_duration
from ferryman.errors import InvalidTask

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

#: Shorter intervals are taken for a mistake: each occurrence is a task.
SHORTEST_EVERY_MS: Final = 1_000

#: No zone sets its clock back by more (in this century).
_LONGEST_REPEAT: Final = timedelta(hours=3)

_SECOND: Final = timedelta(seconds=1)

_NO_SUCH_DAY: Final = "names a day that never comes, such as February 30"

#: Names for cron lines that everybody knows.
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Dst(StrEnum):
    """What to do about a local time that the clock skips, or shows twice."""

    SKIP = "skip"  # skipped: not at all; shown twice: the first time
    ONCE = "once"  # skipped: when the clock has jumped; shown twice: the first time
    TWICE = "twice"  # as the clock shows it: skipped not at all, shown twice both times


class Timing(msgspec.Struct, frozen=True):
    """When something is due: a cron line in a time zone, or every so often, counted from 1970 on.

    A line whose hours begin with `*` follows the clock, whatever `dst` says: "every ten minutes" must neither pause nor
    hurry for an hour.
    """

    cron: str = ""
    every_ms: int = 0
    tz: str = "UTC"
    dst: Dst = Dst.ONCE

    def __str__(self) -> str:
        return f"{self.cron} {self.tz}" if self.cron else f"every {format_duration(self.every_ms / 1000)}"


def checked(timing: Timing) -> Timing:
    """Return `timing`, or raise InvalidTask naming what is wrong: cron, every or tz."""
    if bool(timing.cron) == bool(timing.every_ms):
        raise InvalidTask("cron", "give a cron line or an interval, one of the two")
    _zone(timing.tz)
    if timing.every_ms:
        if timing.every_ms < SHORTEST_EVERY_MS:
            raise InvalidTask("every", f"{timing.every_ms} ms is too short; 1s is the shortest interval")
        return timing
    walls = _walls(timing.cron, datetime(2024, 1, 1))  # noqa: DTZ001  (the wall clock has no zone)
    if next(walls, None) is None:
        raise InvalidTask("cron", f"{timing.cron!r} {_NO_SUCH_DAY}")
    return timing


def occurrences(timing: Timing, after_ms: int) -> Iterator[int]:
    """The moments later than `after_ms`, in order, without end (epoch ms). Raises InvalidTask as `checked` does."""
    if timing.every_ms:
        return _intervals(timing.every_ms, after_ms)
    return _by_the_clock(timing, after_ms)


def between(timing: Timing, after_ms: int, until_ms: int) -> list[int]:
    """The moments later than `after_ms` and not later than `until_ms`."""
    return list(takewhile(lambda at: at <= until_ms, occurrences(timing, after_ms)))


@lru_cache(maxsize=4096)
def next_after(timing: Timing, after_ms: int) -> int | None:
    """The first moment later than `after_ms`; None when a cron line has none in the next decades."""
    return next(occurrences(timing, after_ms), None)


def _intervals(every_ms: int, after_ms: int) -> Iterator[int]:
    at = after_ms - after_ms % every_ms
    while True:
        at += every_ms
        yield at


def _by_the_clock(timing: Timing, after_ms: int) -> Iterator[int]:
    zone = _zone(timing.tz)
    after = datetime.fromtimestamp(after_ms // 1000, UTC)
    # Where the clock is about to be set back, times that it has shown already come again.
    later = (after + _LONGEST_REPEAT).astimezone(zone).replace(tzinfo=None) - _LONGEST_REPEAT
    start = min(after.astimezone(zone).replace(tzinfo=None), later)
    hours = _fields(timing.cron)[1]
    dst = Dst.TWICE if hours.startswith("*") else timing.dst
    waiting: list[datetime] = []
    last = after_ms
    for wall in _walls(timing.cron, start - _SECOND):
        first, *again = moments(wall, zone, dst) or (None,)
        if first is None:
            continue
        while waiting and waiting[0] <= first:
            at = _ms(heapq.heappop(waiting))
            if at > last:
                yield (last := at)
        if not again:
            if (at := _ms(first)) > last:
                yield (last := at)
            continue
        for moment in (first, *again):
            heapq.heappush(waiting, moment)
    for moment in sorted(waiting):
        if (at := _ms(moment)) > last:
            yield (last := at)


def moments(wall: datetime, zone: ZoneInfo, dst: Dst) -> tuple[datetime, ...]:
    """When the clock of `zone` shows `wall` (without a zone), as `dst` wants it; in UTC, the earliest first."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first == second:
        return (first,)
    if first < second:
        return (first, second) if dst is Dst.TWICE else (first,)
    return (_jump(second, first, zone),) if dst is Dst.ONCE else ()


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second at which the clock of `zone` has jumped, somewhere later than `before`."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _walls(cron: str, start: datetime) -> Iterator[datetime]:
    """The times of the wall clock that a line names, later than `start`."""
    from cronsim import CronSim, CronSimError  # here, as `zoneinfo` below: who has no schedules pays no import

    try:
        return CronSim(" ".join(_fields(cron)), start)
    except CronSimError as error:
        raise InvalidTask("cron", f"{cron!r} {_why(cron, error)}") from None


def _why(cron: str, error: Exception) -> str:
    minute, hour, day, _, weekday = _fields(cron)
    from cronsim import CronSim, CronSimError

    try:  # the library says the same of day 32 and of February 30
        CronSim(" ".join((minute, hour, day, "*", weekday)), datetime(2024, 1, 1))  # noqa: DTZ001
    except CronSimError:
        return f"has a {str(error).lower()}; write it like '0 7 * * 1-5'"
    return _NO_SUCH_DAY


def _fields(cron: str) -> list[str]:
    fields = _NAMED.get(cron.strip().lower(), cron).split()
    if len(fields) != 5:
        raise InvalidTask("cron", f"{cron!r} has {len(fields)} fields, not minute, hour, day, month and weekday")
    return fields


def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise InvalidTask("tz", f"there is no time zone {name!r}; write it like 'Europe/Berlin' or 'UTC'") from None


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
