"""Timekeeper: fires the schedules of queues: an occurrence that has come -> a new task in waiting.

It computes which occurrences have come, by Redis' clock; the script decides. So any number of timekeepers may run, and
one that dies in between has either enqueued a task and settled its occurrence, or neither.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ferryman.call import Call
from ferryman.due import due, next_fire
from ferryman.errors import BrokerRefused, InvalidTask
from ferryman.link import Link
from ferryman.schedule import iso
from ferryman.timetable import Entries, Entry, Fired, Timetable
from ferryman_scheduler.chore import Tally, Visit, ask, share

logger = logging.getLogger(__name__)

#: The longest pause: a schedule may be new, or be changed, and this is how long it may go unnoticed.
TICK_S: Final = 1.0

#: The shortest, so that nobody asks without end for the last millisecond.
_BLINK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to say to Redis. `at_ms` is the occurrence that it fires, `missed` how many before it get no task."""

    entry: Entry
    at_ms: int | None
    late_ms: int
    missed: int
    call: Call[Fired]


class Timekeeper:
    """Fires for any number of queues."""

    name = "fire"

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._next_ms: dict[str, int] = {}  # queue -> when its next occurrence is due; 0 = it has none
        self._unusable: dict[tuple[str, str], str] = {}  # (queue, schedule) -> what was logged about it

    async def visit(self, link: Link, queues: Sequence[str]) -> Visit:
        """Fire what has come of each queue, a bounded number at once."""
        visit, most = Visit(), share(len(queues))
        asked = [(queue, Timetable(queue).agree(self._next_ms.get(queue))) for queue in queues]
        pending: list[tuple[str, Step]] = []
        for queue, known in await ask(link, visit, asked):
            for damage in known.damage:
                visit.refusals[queue] = BrokerRefused(damage)
            steps, next_ms = self._plan(queue, known)
            self._next_ms[queue] = next_ms
            pending += [(queue, step) for step in steps[:most]]
            left_s = (next_ms - known.now_ms) / 1000 if next_ms else TICK_S
            visit.pauses_s[queue] = 0.0 if len(steps) > most else min(TICK_S, max(_BLINK_S, left_s))
        replies = await link.run_all([step.call for _, step in pending])
        for (queue, step), reply in zip(pending, replies, strict=True):
            if isinstance(reply, Fired):
                self._tell(queue, step, reply)
            else:
                visit.refusals[queue], visit.pauses_s[queue] = reply, TICK_S
        return visit

    def _plan(self, queue: str, known: Entries) -> tuple[list[Step], int]:
        """What is to be said to Redis, and when the next occurrence is due; 0 = never."""
        steps: list[Step] = []
        upcoming: list[int] = []
        for entry in known.entries:
            place = (queue, entry.schedule.name)
            try:
                more, next_ms = _steps(Timetable(queue), entry, known.now_ms)
            except InvalidTask as error:
                # Published by a newer version, or with a time zone that is not known here.
                if self._unusable.get(place) != str(error):
                    logger.error("%s can't be fired here: %s", entry.schedule.name, error, extra={"queue": queue})
                    self._unusable[place] = str(error)
                continue
            self._unusable.pop(place, None)
            steps += more
            upcoming += [] if next_ms is None else [next_ms]
        return steps, min(upcoming, default=0)

    def _tell(self, queue: str, step: Step, reply: Fired) -> None:
        name = step.entry.schedule.name
        told = {"queue": queue, "schedule": name, "task_id": reply.task}
        if step.missed and reply.outcome in ("fired", "overlaps", "passed"):
            self._tally.missed(queue, step.missed, "late")
            logger.warning("%d occurrences of %s were missed", step.missed, name, extra=told)
        if step.at_ms is None:
            return
        if reply.outcome == "fired":
            self._tally.fired(queue, step.late_ms)
            logger.info("%s is due: enqueued %s", name, reply.task, extra=told)
        elif reply.outcome == "overlaps":
            self._tally.missed(queue, 1, "overlap")
            text = "%s was due at %s and is left out: %s has not ended"
            logger.warning(text, name, iso(step.at_ms), reply.task, extra=told)


def _steps(timetable: Timetable, entry: Entry, now_ms: int) -> tuple[list[Step], int | None]:
    """What is to be said about a schedule, and when it is due next. Raises InvalidTask."""
    schedule, settled_ms = entry.schedule, entry.settled_ms
    if settled_ms is None:
        return [Step(entry, None, 0, 0, timetable.begin(schedule))], next_fire(schedule, now_ms)
    steps: list[Step] = []
    found = due(schedule, settled_ms, now_ms)
    missed = found.missed
    for at_ms in found.fire:
        call = timetable.fire(schedule, settled_ms, at_ms)
        steps.append(Step(entry, at_ms, max(0, now_ms - at_ms), missed, call))
        settled_ms, missed = at_ms, 0
    if missed and found.until_ms is not None:
        steps.append(Step(entry, None, 0, missed, timetable.pass_over(schedule, settled_ms, found.until_ms)))
    return steps, next_fire(schedule, found.until_ms or settled_ms)
