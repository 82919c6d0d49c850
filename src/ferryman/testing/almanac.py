"""Almanac: fires the schedules of a test's queues while its clock is moved, each occurrence at its own moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ferryman.inspector import Inspector
from ferryman.link import SyncLink
from ferryman.occurrences import next_after
from ferryman.queue import Queue, queues_defined
from ferryman.schedule import Schedule
from ferryman.task import Task
from ferryman.testing.clock import Clock
from ferryman.timetable import Timetable

#: More occurrences than this in one go are taken for a clock that was moved too far.
AT_MOST: Final = 1_000


class Almanac:
    """The schedules of every queue that this process has defined; each begins when it is first seen."""

    def __init__(self, link: SyncLink, clock: Clock, record: Callable[[Task], None]) -> None:
        self._link = link
        self._clock = clock
        self._record = record
        self._settled_ms: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """What was defined since counts from now on."""
        for queue in _queues():
            for schedule in queue.schedules():
                if (queue.name, schedule.name) not in self._settled_ms:
                    self._link.run(Timetable(queue.name).begin(schedule))
                    self._settled_ms[queue.name, schedule.name] = self._clock.now_ms

    def next_ms(self) -> int | None:
        """When the next occurrence is due."""
        return min((at for at, _, _ in self._upcoming()), default=None)

    def fire_due(self) -> None:
        """Enqueue the tasks of what is due at this very moment."""
        for at_ms, queue, schedule in self._upcoming():
            if at_ms > self._clock.now_ms:
                continue
            settled_ms = self._settled_ms[queue.name, schedule.name]
            reply = self._link.run(Timetable(queue.name).fire(schedule, settled_ms, at_ms))
            self._settled_ms[queue.name, schedule.name] = at_ms
            if reply.outcome == "fired" and (task := self._link.run(Inspector(queue.name).get(reply.task))):
                self._record(task)

    def _upcoming(self) -> list[tuple[int, Queue, Schedule]]:
        return [
            (at_ms, queue, schedule)
            for queue in _queues()
            for schedule in queue.schedules()
            if (settled_ms := self._settled_ms.get((queue.name, schedule.name))) is not None
            and (at_ms := next_after(schedule.timing, settled_ms)) is not None
        ]


def _queues() -> list[Queue]:
    """Of several with one name the one that was defined last."""
    return list({queue.name: queue for queue in queues_defined() if queue.schedules()}.values())
