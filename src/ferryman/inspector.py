"""Inspector: read-only views of a queue. Every method builds a call; nothing here changes anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ferryman.call import Call, command
from ferryman.glance import ERROR_BYTES, Glances, read_glances
from ferryman.history import read_history
from ferryman.keys import QUEUES, Keys
from ferryman.manifest import KnownVersion, TaskManifest
from ferryman.task import Task, TaskState, check_queue_name

T = TypeVar("T")

#: How far ahead `due_soon` looks.
DUE_SOON_MS = 10_000

#: Of how many workers the lists are counted, about 2 ms of Redis, when the figures need not be exact.
COUNTED_WORKERS = 1_000


@dataclass(frozen=True, slots=True)
class QueueStats:
    """All figures of a queue at one instant. The first block is the stable contract of `ferryman stats --json`."""

    queue: str
    waiting: int
    active: int  # counted; what the counters leave for it when `unaccounted` is None
    delayed: int
    blocked: int  # they wait for something other than time: other tasks, or a place in a full lane
    dead: int
    completed: int  # cumulative
    failed: int  # runs that raised
    retried: int
    recovered: int
    discarded: int
    enqueued: int
    workers: int
    parked: int  # delayed because no worker knew their name
    oldest_waiting_s: float
    unaccounted: int | None  # enqueued minus everything that is somewhere; must be 0; None when active was not counted

    hold: bool
    due_soon: int
    next_due_ms: int | None
    run_ms_total: int  # of all `runs`
    unspent: int  # runs that asked for another one without spending an attempt
    orphaned: int  # held by workers whose deadline has passed; at least, when `unaccounted` is None
    policy_missing: bool
    now_ms: int
    dead_by_crash: int = 0  # tasks that went to dead because what ran them died; cumulative
    cancelled: int = 0  # of the discarded: those that were cancelled while they ran
    lanes_held_back: int = 0  # lanes with tasks that a limit keeps there
    ready: int = 0  # of the blocked: those that stand in their lane only because it is not their turn yet
    expired: int = 0  # of the discarded: those whose deadline passed before a worker ran them
    protocol: int = 0  # that its data is in; 0 = nobody has come yet
    refused_protocol: int = 0  # of a worker that was refused in the last ten minutes; 0 = none was

    @property
    def runs(self) -> int:
        """Runs that came to their own end, well or not."""
        return self.completed + self.failed + self.unspent

    def to_json_dict(self) -> dict[str, Any]:
        """The stable fields only."""
        names = (
            *("queue", "waiting", "active", "delayed", "blocked", "dead", "completed", "failed", "retried"),
            *("recovered", "discarded", "cancelled", "expired", "enqueued", "workers", "parked"),
            *("oldest_waiting_s", "unaccounted"),
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Page:
    """One step through the tasks of a state: `taken` ids were looked at; of those a cancelled one is no task any more.

    While `place` is not empty there may be more behind it, `over` of which are still to be passed over.
    """

    tasks: list[Task]
    taken: int
    over: int
    place: str


class Inspector:
    """Reads one queue. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def stats(self, *, exact: bool = False) -> Call[QueueStats]:
        """All figures at one instant. `exact` counts what is active whatever it costs Redis, 2 us per worker."""
        k = self.keys
        keys = (
            *(k.waiting, k.handed, k.priority, k.delayed, k.dead, k.workers),
            *(k.stats, k.config, k.task, k.active_prefix, k.blocked, k.lanes, k.lane_ready, k.lane_wakes),
        )
        return Call("stats", keys, (DUE_SOON_MS, 0 if exact else COUNTED_WORKERS), self._stats)

    def get(self, id: str) -> Call[Task | None]:
        """One task's record, or None when it never existed or its kept status has been trimmed."""
        return self._read_tasks(("", 0, 1, "", id), lambda reply: next(iter(self._page(reply).tasks), None))

    def page(self, state: TaskState, limit: int = 100, offset: int = 0, place: str = "") -> Call[Page]:
        """Tasks in that state: whose turn is next, or is blocked longest, first; of dead and completed the newest.

        One step, which Redis does in about 2 ms: `overview.tasks_in` goes on until a page is full.
        """
        return self._read_tasks((state.value, offset, limit, place), self._page)

    def held(self, worker: str, limit: int = 10) -> Call[Glances]:
        """A glance at what a worker holds, the longest held first; some of it may not have been started yet."""
        return self._glances(self.keys.active(worker), TaskState.ACTIVE, 0, limit)

    def dead(self, limit: int = 20, offset: int = 0) -> Call[Glances]:
        """A glance at the dead tasks, the newest first."""
        return self._glances(self.keys.dead, TaskState.DEAD, offset, limit)

    def manifest(self) -> Call[dict[str, TaskManifest]]:
        """What the queue's workers said they can run; empty before the first one registered."""
        return command("HGETALL", self.keys.manifest, read=_manifest)

    def task_manifest(self, task: str) -> Call[TaskManifest | None]:
        """What the workers said of one task."""
        return command("HGET", self.keys.manifest, task, read=_one_manifest)

    def task_names(self) -> Call[list[str]]:
        """Names of the tasks in the manifest: all that a worker of the queue has ever said it can run."""
        return command("HKEYS", self.keys.manifest, read=lambda reply: sorted(name.decode() for name in reply))

    def versions(self, task: str) -> Call[list[KnownVersion]]:
        """What each version of the app, at work now or within the last hour, says of one task; those that know it."""
        return Call("versions", (self.keys.versions, self.keys.workers, self.keys.worker_prefix), (task,), _versions)

    def _glances(self, ids: str, state: TaskState, offset: int, limit: int) -> Call[Glances]:
        return Call("glance", (ids, self.keys.task), (state.value, offset, limit, ERROR_BYTES), read_glances)

    def _read_tasks(self, args: tuple[str | int, ...], read: Callable[[Any], T]) -> Call[T]:
        k = self.keys
        keys = (
            *(k.waiting, k.handed, k.priority, k.delayed, k.dead),
            *(k.completed, k.workers, k.task, k.active_prefix, k.blocked, k.result),
        )
        return Call("read_tasks", keys, args, read)

    def _page(self, reply: Any) -> Page:
        place, over, taken = reply[0]
        return Page([_task(self.queue, row) for row in reply[1:]], int(taken), int(over), place.decode())

    def _stats(self, reply: Any) -> QueueStats:
        now, waiting, delayed, active, dead, workers = map(int, reply[:6])
        orphaned, due_soon, next_due, oldest, hold, policy, blocked, held_back = map(int, reply[6:14])
        protocol, refused = map(int, reply[14:16])
        counters = {reply[i].decode(): int(float(reply[i + 1])) for i in range(16, len(reply), 2)}
        enqueued, completed, discarded = (counters.get(name, 0) for name in ("enqueued", "completed", "discarded"))
        rest = enqueued - (waiting + delayed + blocked + dead + completed + discarded)
        return QueueStats(
            queue=self.queue,
            waiting=waiting,
            active=active if active >= 0 else max(0, rest),
            delayed=delayed,
            blocked=blocked,
            dead=dead,
            completed=completed,
            failed=counters.get("failed", 0),
            retried=counters.get("retried", 0),
            recovered=counters.get("recovered", 0),
            discarded=discarded,
            enqueued=enqueued,
            workers=workers,
            parked=counters.get("parked", 0),
            oldest_waiting_s=max(0, now - oldest) / 1000 if oldest >= 0 else 0.0,
            unaccounted=rest - active if active >= 0 else None,
            hold=bool(hold),
            due_soon=due_soon,
            next_due_ms=next_due if next_due >= 0 else None,
            run_ms_total=counters.get("run_ms", 0),
            unspent=counters.get("unspent", 0),
            orphaned=orphaned,
            policy_missing=not policy,
            now_ms=now,
            dead_by_crash=counters.get("dead_by_crash", 0),
            cancelled=counters.get("cancelled", 0),
            lanes_held_back=max(0, held_back),
            ready=max(0, counters.get("ready", 0)),
            expired=counters.get("expired", 0),
            protocol=protocol,
            refused_protocol=refused,
        )


def queues_counted() -> Call[int]:
    """How many queues `queues_known` names; no name ever leaves, so the same number means the same names."""
    return command("SCARD", QUEUES, read=int)


def queues_known() -> Call[list[str]]:
    """Names of all queues that ever had a task in this Redis."""
    return command("SMEMBERS", QUEUES, read=lambda reply: sorted(name.decode() for name in reply))


def _manifest(reply: Any) -> dict[str, TaskManifest]:
    return {name.decode(): TaskManifest.decode(entry) for name, entry in _pairs(reply)}


def _one_manifest(reply: Any) -> TaskManifest | None:
    return None if reply is None else TaskManifest.decode(reply)


def _versions(reply: Any) -> list[KnownVersion]:
    return [KnownVersion(TaskManifest.decode(entry), bool(living)) for entry, living in reply]


def _pairs(reply: Any) -> list[tuple[bytes, bytes]]:
    return list(reply.items()) if isinstance(reply, dict) else list(zip(reply[::2], reply[1::2], strict=True))


def _state(name: str) -> TaskState:
    """A record without a known state is damaged, and damaged ones end in dead."""
    return TaskState(name) if name in set(TaskState) else TaskState.DEAD


def _task(queue: str, row: Any) -> Task:
    record = {row[i].decode(): row[i + 1] for i in range(2, len(row), 2)}

    def text(name: str) -> str:
        value: bytes = record.get(name, b"")
        return value.decode("utf-8", "replace")

    def number(name: str) -> int:
        try:
            return int(float(record.get(name, b"0")))
        except ValueError:
            return 0

    return Task(
        id=row[0].decode(),
        queue=queue,
        name=text("name"),
        state=_state(text("state")),
        args=record.get("args", b""),
        options=record.get("options", b""),
        attempt=number("attempt"),
        deliveries=number("deliveries"),
        crashes=number("crashes"),
        priority=number("priority"),
        unique=text("unique"),
        lane=text("lane"),
        worker=text("worker"),
        error=text("error"),
        result=record.get("kept", b"")[1:] if record.get("kept", b"")[:1] == b"=" else b"",
        enqueued_ms=number("enqueued_ms"),
        since_ms=number("since_ms"),
        run_at_ms=int(float(row[1])),
        finished_ms=number("finished_ms"),
        evidence=tuple(filter(None, text("evidence").split("\n"))),
        history=read_history(text("history")),
        why=text("why"),
        flow=text("flow"),
        released=number("released"),
        expires_ms=number("expires_ms"),
        progress=record.get("progress", b""),
        progress_ms=number("progress_ms"),
        result_problem=text("kept")[1:] if text("kept")[:1] == "!" else "",
    )
