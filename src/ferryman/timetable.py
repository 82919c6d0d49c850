"""Timetable: all schedules of a queue, as code and operator have published them, and what was fired of each.

Every method builds a call. Schedulers compute what is due; `fire` lets Redis decide, so any number of them may run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ferryman.broker import Broker
from ferryman.call import Call, command
from ferryman.errors import InvalidTask, ProtocolMismatch
from ferryman.keys import Keys
from ferryman.protocol import PROTOCOL
from ferryman.schedule import Origin, Schedule, decode_schedules, encode_schedules, task_id
from ferryman.task import check_queue_name

_WITHOUT_TASK: Final = "pass"


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule, and what Redis knows of it. Moments are epoch ms.

    Up to `settled_ms` every occurrence was fired or passed over; None when no scheduler has seen it as it is now.
    `fired_ms` and `task` are the occurrence that was fired last, and its task; 0 and "" before the first.
    """

    schedule: Schedule
    origin: Origin
    settled_ms: int | None = None
    fired_ms: int = 0
    task: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """What is known of a queue's schedules, by name. `damage` names what can't be read."""

    now_ms: int
    entries: tuple[Entry, ...]
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fired:
    """The answer to a fire: fired, overlaps, passed, begun, moved or early; see the script."""

    outcome: str
    task: str = ""


class Timetable:
    """The schedules of one queue. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def agree(self, next_ms: int | None = None) -> Call[Entries]:
        """All that is known, with the word of the app's newest version. `next_ms`: the next occurrence; 0 = none."""
        k = self.keys
        keys = (k.schedules, k.fired, k.workers, k.config, k.worker_prefix)
        return Call("agree", keys, (-1 if next_ms is None else next_ms,), _entries)

    def publish(self, schedules: Sequence[Schedule]) -> Call[int]:
        """What the operator says: these and no others."""
        if not schedules:
            return command("HDEL", self.keys.schedules, "operator", read=int)
        return command("HSET", self.keys.schedules, "operator", encode_schedules(list(schedules)), read=int)

    def begin(self, schedule: Schedule) -> Call[Fired]:
        """From now on its occurrences count. Harmless when they do already."""
        return self._fire(schedule, 0, 0, _WITHOUT_TASK)

    def fire(self, schedule: Schedule, settled_ms: int, occurrence_ms: int) -> Call[Fired]:
        """Enqueue the task of an occurrence, unless what is settled is no more what the caller thinks."""
        return self._fire(schedule, settled_ms, occurrence_ms, schedule.overlap)

    def pass_over(self, schedule: Schedule, settled_ms: int, occurrence_ms: int) -> Call[Fired]:
        """Settle the occurrences up to this one without a task."""
        return self._fire(schedule, settled_ms, occurrence_ms, _WITHOUT_TASK)

    def _fire(self, schedule: Schedule, settled_ms: int, occurrence_ms: int, overlap: str) -> Call[Fired]:
        new = schedule.new_task(task_id(schedule.name, occurrence_ms), occurrence_ms)
        enqueue = Broker(self.queue).enqueue([new])
        own = (schedule.name, schedule.key, settled_ms, occurrence_ms, overlap)
        return Call("fire", (*enqueue.keys, self.keys.fired), (*own, *enqueue.args), _fired)


def _fired(reply: Any) -> Fired:
    outcome = reply[0].decode()
    if outcome == "protocol":
        raise ProtocolMismatch(PROTOCOL, int(reply[1]))
    return Fired(outcome, reply[1].decode() if outcome in ("fired", "overlaps") else "")


def _entries(reply: Any) -> Entries:
    now_ms, known, records = int(reply[0]), _hash(reply[1]), _hash(reply[2])
    damage: list[str] = []

    def read(field: str) -> list[Schedule]:
        try:
            return decode_schedules(known[field]) if field in known else []
        except InvalidTask as error:
            damage.append(f"{field}: {error}")
            return []

    found = {one.name: (one, Origin.CODE) for one in read(f"code:{known.get('code', b'').decode('utf-8', 'replace')}")}
    found |= {one.name: (one, Origin.OPERATOR) for one in read("operator")}
    entries = (_entry(one, origin, records.get(one.name, b"")) for _, (one, origin) in sorted(found.items()))
    return Entries(now_ms, tuple(entries), tuple(damage))


def _entry(schedule: Schedule, origin: Origin, record: bytes) -> Entry:
    key, *rest = record.decode("utf-8", "replace").split("|")
    if len(rest) != 3 or not (rest[0].isdecimal() and rest[1].isdecimal()):
        return Entry(schedule, origin)
    settled_ms = int(rest[0]) if key == schedule.key else None
    return Entry(schedule, origin, settled_ms, int(rest[1]), rest[2])


def _hash(words: Any) -> dict[str, bytes]:
    return {words[i].decode("utf-8", "replace"): words[i + 1] for i in range(0, len(words), 2)}
