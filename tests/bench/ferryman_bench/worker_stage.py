"""A worker's stage: slots, threads and all that decides what becomes of a task, with nothing of Redis behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ferryman_worker.acker import Acker
from ferryman_worker.counters import Counters
from ferryman_worker.outcome import Verdict
from ferryman_worker.pool import Pool
from ferryman_worker.process_pool import ProcessPool
from ferryman_worker.processor import Processor
from ferryman_worker.repertoire import Repertoire
from ferryman_worker.threads import ThreadPool

from ferryman import Queue
from ferryman.policy import Policy
from ferryman.protocol import Delivery


class Recorder(Acker):
    """Notes outcomes in the order in which they came."""

    def __init__(self, counters: Counters) -> None:
        super().__init__(counters)
        self.completed: list[str] = []
        self.results: dict[str, bytes] = {}
        self.stopped_for_good: list[str] = []
        self.failed: dict[str, Verdict] = {}

    def complete(self, delivery: Delivery, run_s: float, result: bytes) -> None:
        self.completed.append(delivery.id)
        self.results[delivery.id] = result

    def fail(self, delivery: Delivery, verdict: Verdict, run_s: float) -> None:
        self.failed[delivery.id] = verdict

    def cancelled(self, delivery: Delivery) -> None:
        self.stopped_for_good.append(delivery.id)


class Stage:
    """A pool with everything behind it but Redis."""

    def __init__(self, queue: Queue, slots: int, deps: object, policy: Policy) -> None:
        self.counters = Counters("q")
        self.acker = Recorder(self.counters)
        self.threads = ThreadPool(slots, asyncio.get_running_loop())
        processes = ProcessPool(None, lambda: None)
        repertoire = Repertoire(queue.handlers, self.counters, policy, None)
        processor = Processor(repertoire, self.acker, self.counters, self.threads, processes, deps)
        self.pool = Pool(slots, processor.process, lambda: None)
        processor.work_in(self.pool)
        self._made = 0

    def put(self, *names: str, options: bytes = b"", raw: bytes | None = None, **args: Any) -> None:
        """Tasks t1, t2, ... with these names."""
        encoded = json.dumps(args).encode() if raw is None else raw
        deliveries = []
        for name in names:
            self._made += 1
            deliveries.append(Delivery(f"t{self._made}", name, encoded, options, 1, 1, 0, 0, False, 0, 0))
        self.pool.put(deliveries)

    async def run(self, name: str, options: bytes = b"", **args: Any) -> None:
        """Runs one task to its end."""
        self.put(name, options=options, **args)
        await self.idle()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for a condition, at most ten seconds."""
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Waits until everything has run."""
        await self.until(lambda: self.pool.empty)


#: `make(queue, slots=2, deps=None, policy=None)`.
Staging = Callable[..., Awaitable[Stage]]


@asynccontextmanager
async def stages() -> AsyncIterator[Staging]:
    """Makes stages whose slots are ready, and closes them in the end."""
    made: list[Stage] = []

    async def make(queue: Queue, slots: int = 2, deps: object = None, policy: Policy | None = None) -> Stage:
        stage = Stage(queue, slots, deps, policy or Policy())
        made.append(stage)
        await stage.until(lambda: len(stage.pool._resting) == slots)
        return stage

    yield make
    for stage in made:
        # A test that failed leaves handlers behind, and some swallow their end.
        while any(slot.delivery is not None and not slot.task.done() for slot in stage.pool._slots):
            stage.pool.stop()
            await asyncio.sleep(0.001)
        await stage.pool.close()
        stage.threads.close()
