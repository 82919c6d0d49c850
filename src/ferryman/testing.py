"""Looking into a queue from tests: put it into a state, act once, and see everything that changed.

States are made by the real transitions, so that the accounting is right from the start. Nothing here belongs into
a running system: a snapshot reads with KEYS.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

from ferryman.broker import Broker
from ferryman.call import Argument, Call, command
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.policy import QueuePolicy
from ferryman.protocol import Completion, Delivery, Fetched
from ferryman.task import NewTask
from ferryman.workers import WorkerInfo, WorkerRegistry

#: What a snapshot shows in the place of a moment; that it is there matters, its value is the clock's.
MOMENT: Final = "<moment>"

_MOMENTS: Final = frozenset(
    {"enqueued_ms", "since_ms", "finished_ms", "started_ms", "drain_until_ms", "vouched_until_ms", "claim_until_ms"}
)

#: Key of the queue, without its prefix -> a list (front first), a set's members by score, or a hash.
Snapshot = dict[str, Any]


class Clock(Protocol):
    """Redis' clock as a test moves it."""

    async def advance(self, ms: int) -> None: ...


async def snapshot(link: Link, queue: str) -> Snapshot:
    """Every key of the queue."""
    prefix = f"ferryman:{{{queue}}}:"
    keys = await link.run(command("KEYS", prefix + "*", read=lambda reply: sorted(key.decode() for key in reply)))
    return {key.removeprefix(prefix): await _value(link, key) for key in keys}


def changes(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """What differs: of a hash the fields that do, of anything else the new value; None for what is gone."""
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    result: dict[str, Any] = {}
    for key in differing:
        old, new = before.get(key), after.get(key)
        if isinstance(new, dict) and isinstance(old, dict | None):
            old = old or {}
            result[key] = {name: new.get(name) for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        else:
            result[key] = new
    return result


class Bench:
    """One queue on the bench: its calls, a clock that can be moved, and snapshots."""

    def __init__(self, link: Link, clock: Clock, queue: str = "bench") -> None:
        self.link = link
        self.clock = clock
        self.name = queue
        self.broker = Broker(queue)
        self.workers = WorkerRegistry(queue)
        self.policy = QueuePolicy(queue)
        self.inspector = Inspector(queue)
        self.keys = self.broker.keys
        self.run = link.run

    async def enqueue(self, *ids: str, name: str = "echo", args: bytes = b"{}", **fields: Any) -> None:
        """One task per id; `fields` as in NewTask."""
        await self.run(self.broker.enqueue([NewTask(id, name, args, **fields) for id in ids]))

    async def register(
        self, *workers: str, slot: str = "", timeout_ms: int = 15_000, beat_ms: int = 1_000, pod: str = "pod-1"
    ) -> None:
        """Workers that have just promised to beat within `timeout_ms`."""
        for worker in workers:
            info = WorkerInfo(worker, slot, pod, timeout_ms, beat_ms, 10, "app", "1.0")
            await self.run(self.workers.register(info, Manifest("app", {})))

    async def fetch(self, worker: str, limit: int = 1, handed: str | None = None) -> list[Delivery]:
        """The tasks that `worker` gets."""
        return (await self.try_fetch(worker, limit, handed)).tasks

    async def try_fetch(self, worker: str, limit: int = 1, handed: str | None = None) -> Fetched:
        """The whole answer to a fetch."""
        return await self.run(self.broker.fetch(worker, limit, handed))

    async def hold_active(self, worker: str, *ids: str, **fields: Any) -> list[Delivery]:
        """A registered worker that holds these tasks."""
        await self.register(worker)
        await self.enqueue(*ids, **fields)
        return await self.fetch(worker, len(ids))

    async def bury(self, *ids: str, error: str = "no", **fields: Any) -> None:
        """Tasks in dead."""
        for delivery in await self.hold_active("gravedigger", *ids, **fields):
            await self.run(self.broker.dead_letter("gravedigger", delivery.id, delivery.token, error=error))
        await self.run(self.workers.unregister("gravedigger"))

    async def finish(self, *ids: str, **fields: Any) -> None:
        """Completed tasks, their status kept."""
        held = await self.hold_active("finisher", *ids, **fields)
        await self.run(self.broker.complete("finisher", [Completion(d.id, d.token) for d in held]))
        await self.run(self.workers.unregister("finisher"))

    async def hand(self) -> str | None:
        """BLMOVE's move, without the wait."""
        move = command("LMOVE", self.keys.waiting, self.keys.handed, "RIGHT", "LEFT", read=lambda reply: reply)
        moved: bytes | None = await self.run(move)
        return moved.decode() if moved else None

    async def look_until_dead(self, worker: str, limit: int = 200) -> tuple[int, int, int]:
        """Silence past the deadline, then looks one second apart. Returns (to waiting, to dead, left)."""
        await self.clock.advance(15_001)
        while (reply := await self.run(self.broker.recover(worker, limit))).verdict == "suspected":
            await self.clock.advance(1_000)
        assert reply.verdict == "dead"
        return reply.waiting, reply.dead, reply.left

    async def stats(self) -> QueueStats:
        """All figures."""
        return await self.run(self.inspector.stats())

    async def write(self, *words: Argument) -> None:
        """A plain command, past all scripts: damage, or a score from another time."""
        await self.run(command(*words, read=lambda reply: reply))

    async def snapshot(self) -> Snapshot:
        """Every key of the queue."""
        return await snapshot(self.link, self.name)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """Fills the yielded dict, on the way out, with all that the block changed."""
        before, result = await self.snapshot(), dict[str, Any]()
        yield result
        result.update(changes(before, await self.snapshot()))


class AgingClock:
    """A clock for a server whose time can't be moved: every moment that the queue has stored moves back instead."""

    def __init__(self, link: Link, queue: str = "bench") -> None:
        self._link = link
        self._prefix = f"ferryman:{{{queue}}}:"

    async def advance(self, ms: int) -> None:
        """`ms` later, as seen from the queue's data."""
        calls: list[Call[Any]] = []
        for name in ("workers", "delayed", "dead", "completed"):
            key = self._prefix + name
            # A worker that was declared dead has the deadline 0, and keeps it.
            for member in await self._link.run(command("ZRANGEBYSCORE", key, 1, "+inf", read=list)):
                calls.append(command("ZINCRBY", key, -ms, member, read=bool))
        for key in await self._link.run(command("KEYS", self._prefix + "*", read=list)):
            if await self._link.run(command("TYPE", key, read=bytes)) == b"hash":
                fields = await self._link.run(command("HGETALL", key, read=_fields))
                older = _older(key.decode().removeprefix(self._prefix), fields, ms)
                calls += [command("HSET", key, name, value, read=int) for name, value in older.items()]
        await self._link.run_all(calls)


def _older(key: str, fields: Mapping[str, str], ms: int) -> dict[str, str]:
    if key == "suspected":
        looks = {worker: value.split("|") for worker, value in fields.items()}
        return {
            worker: f"{int(deadline) - ms}|{n}|{int(first) - ms}|{int(last) - ms}"
            for worker, (deadline, n, first, last) in looks.items()
        }
    moments = fields.keys() if key == "handed-seen" else _MOMENTS & fields.keys()
    return {name: str(int(float(fields[name])) - ms) for name in moments}


async def _value(link: Link, key: str) -> Any:
    kind = await link.run(command("TYPE", key, read=lambda reply: reply.decode()))
    if kind == "list":
        return await link.run(command("LRANGE", key, 0, -1, read=lambda reply: [x.decode() for x in reply][::-1]))
    if kind == "zset":
        return await link.run(command("ZRANGE", key, 0, -1, read=lambda reply: [x.decode() for x in reply]))
    if kind == "hash":
        fields = await link.run(command("HGETALL", key, read=_fields))
        return {name: _shown(key, name, value) for name, value in fields.items()}
    return await link.run(command("GET", key, read=lambda reply: reply.decode()))


def _fields(reply: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode("utf-8", "replace") for name, value in reply.items()}


def _shown(key: str, name: str, value: str) -> str:
    if key.endswith(":suspected"):
        return f"{value.split('|')[1]} looks"
    if name in _MOMENTS or key.endswith(":handed-seen"):
        return MOMENT
    return re.sub(r'"at_ms":"\d+"', f'"at_ms":"{MOMENT}"', value)
