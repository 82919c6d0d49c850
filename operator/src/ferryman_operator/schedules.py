"""Schedules: publishes the TaskSchedules of a queue to its Redis, and reports on each.

Level-based and without finalizers: what is published is compared with what there is, so a TaskSchedule that was deleted
while nobody looked vanishes from Redis all the same. Who fires is the scheduler; the operator only says what and when.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ferryman.call import Call
from ferryman.errors import BrokerError
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.schedule import Origin, Schedule, encode_schedules
from ferryman.timetable import Entries, Entry, Timetable
from ferryman_operator import names, schedule_status
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.cluster import Cluster, ClusterError, NotFound, NotLeading
from ferryman_operator.events import Events
from ferryman_operator.schedule_spec import queue_of, read_schedule
from ferryman_operator.schedule_status import Finding
from ferryman_operator.spec import SpecError
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, Object, World

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an event is about."""

    uid: str
    namespace: str
    name: str
    kind: str = Kind.TASK_SCHEDULE.value


@dataclass(slots=True)
class _Wish:
    """The TaskSchedules of one TaskQueue: those that can be published, and why others can't."""

    tracked: Tracked
    bodies: list[Object]
    schedules: dict[str, Schedule]
    invalid: dict[str, str]


class Schedules:
    """The TaskSchedules of all queues."""

    def __init__(self, world: World, cluster: Cluster, events: Events, timeout_s: float) -> None:
        self._world = world
        self._cluster = cluster
        self._events = events
        self._timeout_s = timeout_s
        self._empty: set[str] = set()  # uids of TaskQueues in whose Redis nothing of ours is left
        self._reports: dict[str, asyncio.Task[None]] = {}  # by uid

    async def publish(self, link: Link, queues: Sequence[Tracked]) -> None:
        """Bring the Redis of these queues in line with their TaskSchedules, and report on them."""
        bodies = self._by_queue()
        wishes = [
            _wish(one, bodies.get((one.namespace, one.name), []))
            for one in queues
            if one.claim_granted and (one.uid not in self._empty or (one.namespace, one.name) in bodies)
        ]
        if not wishes:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                asked: list[Call[Any]] = [_timetable(wish.tracked).agree() for wish in wishes]
                asked += [_names(wish.tracked) for wish in wishes]
                replies = await link.run_all(asked)
                known, names = replies[: len(wishes)], replies[len(wishes) :]
                await self._correct(link, wishes, known)
        except (BrokerError, OSError, TimeoutError) as error:
            logger.warning("the schedules of %d queues were not published: %s", len(wishes), error)
            return
        for wish, found, tasks in zip(wishes, known, names, strict=True):
            told = tasks if isinstance(tasks, list) else None
            self._report_all(wish, found if isinstance(found, Entries) else None, told)

    def report_unpublished(self, queues: Iterable[Tracked]) -> None:
        """Report on TaskSchedules that no pass publishes: their TaskQueue is not there, or can't be used now."""
        known = {(one.namespace, one.name): one for one in queues}
        for place, bodies in self._by_queue().items():
            tracked = known.get(place)
            if tracked is None:
                trouble = ("QueueNotFound", f"there is no TaskQueue {place[1]!r} in namespace {place[0]!r}")
            elif not (trouble := _trouble(tracked) or ("", ""))[0]:
                continue
            for body in bodies:
                schedule, invalid = _read(body)
                self._report(body, Finding(_generation(body), schedule, invalid, trouble))

    def forget(self, uid: str) -> None:
        """A TaskQueue is gone."""
        self._empty.discard(uid)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._reports.values():
            task.cancel()
        await asyncio.gather(*self._reports.values(), return_exceptions=True)

    def _by_queue(self) -> dict[tuple[str, str], list[Object]]:
        found: defaultdict[tuple[str, str], list[Object]] = defaultdict(list)
        for body in self._world.all(Kind.TASK_SCHEDULE):
            if "deletionTimestamp" not in body["metadata"]:
                found[body["metadata"]["namespace"], queue_of(body)].append(body)
        return found

    async def _correct(self, link: Link, wishes: Sequence[_Wish], known: Sequence[Any]) -> None:
        calls = []
        for wish, found in zip(wishes, known, strict=True):
            if not isinstance(found, Entries):
                logger.warning("the schedules of %s cannot be read: %s", wish.tracked.name, found)
                continue
            there = {one.schedule.name: one.schedule for one in found.entries if one.origin is Origin.OPERATOR}
            broken = any(damage.startswith("operator") for damage in found.damage)
            if broken or _encoded(there.values()) != _encoded(wish.schedules.values()):
                calls.append(_timetable(wish.tracked).publish(list(wish.schedules.values())))
            if wish.bodies:
                self._empty.discard(wish.tracked.uid)
            elif not there and not broken:
                self._empty.add(wish.tracked.uid)
        for reply in await link.run_all(calls):
            if isinstance(reply, Exception):
                logger.warning("schedules were not published: %s", reply)

    def _report_all(self, wish: _Wish, known: Entries | None, tasks: Sequence[str] | None) -> None:
        entries = {entry.schedule.name: entry for entry in known.entries} if known else {}
        trouble = _trouble(wish.tracked) or self._scheduler_trouble(wish.tracked)
        for body in wish.bodies:
            name = body["metadata"]["name"]
            schedule, invalid = wish.schedules.get(name), wish.invalid.get(name, "")
            entry = entries.get(name)
            if schedule and (entry is None or entry.schedule.key != schedule.key):
                # Published in this pass: the scheduler begins now, and what was fired last stays as it was.
                last = (entry.fired_ms, entry.task) if entry else (0, "")
                entry = Entry(schedule, Origin.OPERATOR, None, *last) if known else None
            now_ms = known.now_ms if known else 0
            self._report(body, Finding(_generation(body), schedule, invalid, trouble, entry, now_ms, tasks))

    def _scheduler_trouble(self, tracked: Tracked) -> tuple[str, str] | None:
        assert tracked.spec
        name = names.scheduler_deployment(tracked.spec.redis)
        live = (self._world.get(Kind.DEPLOYMENT, tracked.namespace, name) or {}).get("status") or {}
        if live.get("readyReplicas", 0):
            return None
        return "SchedulerNotReady", f"Deployment {name} has no ready pod; misfire says what becomes of what is due"

    def _report(self, body: Object, found: Finding) -> None:
        old = body.get("status") or {}
        new = schedule_status.build(old, found, datetime.now(UTC))
        change = schedule_status.patch(old, new)
        uid = body["metadata"]["uid"]
        if change is None or uid in self._reports:
            return
        task = asyncio.create_task(self._write(body, old, new, change))
        self._reports[uid] = task
        task.add_done_callback(lambda _: self._reports.pop(uid, None))

    async def _write(
        self, body: Object, old: Mapping[str, Any], new: Mapping[str, Any], change: Mapping[str, Any]
    ) -> None:
        metadata = body["metadata"]
        subject = Subject(metadata["uid"], metadata["namespace"], metadata["name"])
        try:
            reply = await self._cluster.patch_status(subject.namespace, subject.name, change, Kind.TASK_SCHEDULE)
        except (NotFound, NotLeading):
            return  # deleted meanwhile, or another operator's by now
        except ClusterError as error:
            logger.warning("could not write the status of %s/%s: %s", subject.namespace, subject.name, error)
            return
        self._world.put(Kind.TASK_SCHEDULE, reply)
        for told in schedule_status.story(old, new):
            await self._events.post(subject, told)


def _wish(tracked: Tracked, bodies: list[Object]) -> _Wish:
    wish = _Wish(tracked, bodies, {}, {})
    for body in bodies:
        schedule, invalid = _read(body)
        if schedule:
            wish.schedules[schedule.name] = schedule
        else:
            wish.invalid[body["metadata"]["name"]] = invalid
    return wish


def _read(body: Object) -> tuple[Schedule | None, str]:
    try:
        return read_schedule(body).schedule, ""
    except SpecError as error:
        return None, str(error)


def _trouble(tracked: Tracked) -> tuple[str, str] | None:
    """Why the queue's Redis can't be told."""
    if tracked.spec is None:
        return "QueueNotReady", f"TaskQueue {tracked.name}: {tracked.invalid}"
    if tracked.claimed_by:
        return "QueueNotReady", f"TaskQueue {tracked.name} does not own its queue: {tracked.claimed_by} does"
    if isinstance(tracked.reading, Unmeasured):
        return tracked.reading.reason, f"the Redis of TaskQueue {tracked.name}: {tracked.reading.message}"
    return None


def _names(tracked: Tracked) -> Call[list[str]]:
    assert tracked.spec
    return Inspector(tracked.spec.queue).task_names()


def _timetable(tracked: Tracked) -> Timetable:
    assert tracked.spec
    return Timetable(tracked.spec.queue)


def _encoded(schedules: Iterable[Schedule]) -> bytes:
    return encode_schedules(list(schedules))


def _generation(body: Object) -> int:
    return int(body["metadata"].get("generation", 0))
