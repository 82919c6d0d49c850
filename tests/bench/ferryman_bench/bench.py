"""Bench: one queue on the bench, its calls, a clock that can be moved, and snapshots."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from ferryman.broker import Broker
from ferryman.call import Argument, command
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.policy import QueuePolicy
from ferryman.protocol import Completion, Delivery, Fetched
from ferryman.workers import WorkerInfo, WorkerRegistry
from ferryman_bench.snapshot import Snapshot, changes, snapshot


class Clock(Protocol):
    """Redis' clock as a test moves it."""

    async def advance(self, ms: int) -> None: ...


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
