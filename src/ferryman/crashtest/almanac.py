"""Almanac: the schedules of a crash test, from when they begin to when they are taken back, and what was due between.

One is published as the operator does, every second; one stands in the code of the workers, as a cron line. Whatever is
missed while schedulers are away must be fired later (`misfire: all`), so each occurrence is due exactly once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace as replaced

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.app import MINUTELY, ON_TIME
from ferryman.crashtest.execution_log import now_ms
from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.occurrences import between, next_after
from ferryman.schedule import Misfire, Schedule, task_id
from ferryman.timetable import Entry, Timetable

#: A published schedule; the shortest interval there is.
SECONDLY: Final = Schedule(name=ON_TIME, task=ON_TIME, every_ms=1_000, misfire=Misfire.ALL)

_NAMES: Final = (MINUTELY, ON_TIME)
_BEGIN_WITHIN_S: Final = 90.0
_LOOK_EVERY_S: Final = 0.1
#: A schedule in the code begins with the first worker, while others may start for long.
_BEFORE_MS: Final = 240_000


class Almanac:
    """The schedules of one queue, over a link that no fault of the test hits."""

    def __init__(self, queue: str, link: Link) -> None:
        self._timetable = Timetable(queue)
        self._link = link
        self._begun: dict[str, Entry] = {}
        self._ended_ms = 0  # epoch, by Redis' clock
        self._epoch_ms = 0.0  # of Redis' clock, when the log's was 0
        self.retired = False

    async def begin(self) -> None:
        """Returns when the schedulers know all of them. Raises CommandFailed when they do not learn of them."""
        await self._link.run(self._timetable.publish([SECONDLY]))
        give_up_s = asyncio.get_running_loop().time() + _BEGIN_WITHIN_S
        while True:
            known = await self._link.run(self._timetable.agree())
            self._epoch_ms = known.now_ms - now_ms()
            found = {one.schedule.name: one for one in known.entries if one.settled_ms is not None}
            if all(name in found for name in _NAMES):
                self._begun, self._ended_ms = found, known.now_ms
                return
            if asyncio.get_running_loop().time() > give_up_s:
                raise CommandFailed(f"no scheduler began with the schedules in {_BEGIN_WITHIN_S:g} s")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def retire(self) -> None:
        """Takes the schedules back, if all that was due has been fired or passed over; look again when not."""
        try:
            known = await self._link.run(self._timetable.agree())
            self._ended_ms = known.now_ms
            if all(_is_settled(one, known.now_ms) for one in known.entries):
                # What the operator publishes counts before what the code says.
                await self._link.run(self._timetable.publish([replaced(self._begun[MINUTELY].schedule, suspend=True)]))
                self.retired = True
        except BrokerError:
            return  # the next look finds it

    def due(self) -> dict[str, float]:
        """Id of the task of each occurrence that was due -> when, by the log's clock."""
        return {one: at for name in self._begun for one, at in self._between(name, self._settled(name), self._ended_ms)}

    def beyond(self, now_epoch_ms: int) -> dict[str, float]:
        """The same of those before and after, that may be fired: before the test had seen that a schedule had begun,
        and while it was taken back."""
        spans = [
            (name, *span)
            for name in self._begun
            for span in ((self._settled(name) - _BEFORE_MS, self._settled(name)), (self._ended_ms, now_epoch_ms))
        ]
        return {one: at for name, after_ms, until_ms in spans for one, at in self._between(name, after_ms, until_ms)}

    @property
    def names(self) -> Sequence[str]:
        """Those of the schedules; the ids of their tasks begin with them."""
        return _NAMES

    def _settled(self, name: str) -> int:
        return self._begun[name].settled_ms or 0

    def _between(self, name: str, after_ms: int, until_ms: int) -> list[tuple[str, float]]:
        found = between(self._begun[name].schedule.timing, after_ms, until_ms)
        return [(task_id(name, at_ms), at_ms - self._epoch_ms) for at_ms in found]


def _is_settled(entry: Entry, until_ms: int) -> bool:
    if entry.settled_ms is None:
        return False
    following = next_after(entry.schedule.timing, entry.settled_ms)
    return following is None or following > until_ms
