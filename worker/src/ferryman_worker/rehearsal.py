"""Rehearsal: a worker for tests: one task at a time, when it is asked for one.

Everything that decides what becomes of a task is the worker's own: processor, slots, acker, the scripts. What keeps a
fleet alive is left out: no beats, no look-ahead, no signals, no metrics. `run_in="process"` handlers run in this
process, in a thread, or a test could neither replace what they call nor see what they did.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, Final

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.policy import Policy
from ferryman.protocol import Delivery
from ferryman.queue import Queue
from ferryman.testing.run import Run
from ferryman.testing.strikes import Strike
from ferryman.version import __version__
from ferryman.workers import WorkerInfo, WorkerRegistry
from ferryman_worker.acker import Acker
from ferryman_worker.batch import Batch
from ferryman_worker.binder import Binder
from ferryman_worker.counters import Counters
from ferryman_worker.dead_hooks import DeadHooks
from ferryman_worker.outcome import Crash, DeadLetter, Park, RetryLater
from ferryman_worker.pool import Pool
from ferryman_worker.processor import Processor
from ferryman_worker.rehearsed_processes import RehearsedProcesses
from ferryman_worker.rehearsed_threads import CallerThread
from ferryman_worker.repertoire import Repertoire
from ferryman_worker.slot import Slot
from ferryman_worker.threads import ThreadPool
from ferryman_worker.versions import Versions

_ID: Final = "rehearsal"
#: The clock of a test stands still, so no promise is ever broken.
_TIMEOUT_MS: Final = 3_600_000
_STOP_PATIENCE_S: Final = 1.5
_HOOK_PATIENCE_S: Final = 5.0


@asynccontextmanager
async def rehearse(
    queue: Queue,
    link: Link,
    lifespan: AbstractAsyncContextManager[Any],
    struck_by: Callable[[str], Strike | None],
    in_this_thread: bool,
) -> AsyncGenerator[Rehearsal]:
    """Registers, and leaves in the end; code that still runs then is stopped, and its task given back."""
    loop = asyncio.get_running_loop()
    threads = CallerThread(loop) if in_this_thread else ThreadPool(1, loop)
    async with lifespan as deps:
        rehearsal = Rehearsal(queue, link, deps, threads, struck_by)
        try:
            await rehearsal.join()
            yield rehearsal
        finally:
            await rehearsal.leave()
            threads.close()


class Rehearsal:
    """One slot, and everything behind it."""

    def __init__(
        self, queue: Queue, link: Link, deps: object, threads: ThreadPool, struck_by: Callable[[str], Strike | None]
    ) -> None:
        self._queue = queue
        self._link = link
        self._struck_by = struck_by
        self._broker = Broker(queue.name)
        self._registry = WorkerRegistry(queue.name)
        counters = Counters(queue.name)
        self._dead_hooks = DeadHooks(
            queue.middlewares, lambda hook, dead: threads.submit(partial(hook, dead), copy_context()).future
        )
        self._acker = Acker(counters, self._dead_hooks)
        self._repertoire = Repertoire(queue.handlers, counters, Policy(), None)
        processes = RehearsedProcesses(queue, deps, threads)
        self._processor = Processor(
            *(self._repertoire, self._acker, counters, threads, processes, deps),
            binder=Binder(link, queue.name),
            versions=Versions(link, queue.name),
        )
        self._ended = asyncio.Event()
        self._pool = Pool(1, self._process, self._ended.set)
        self._processor.work_in(self._pool)

    async def join(self) -> None:
        """Registers, and follows the queue's policy."""
        info = WorkerInfo(
            id=_ID,
            slot="",
            pod="",
            timeout_ms=_TIMEOUT_MS,
            beat_ms=_TIMEOUT_MS,
            concurrency=1,
            app="tests",
            version=__version__,
        )
        registered = await self._link.run(self._registry.register(info, self._queue.manifest("tests")))
        self._repertoire.follow(Policy.from_config(registered.config))

    async def run_next(self) -> Run | None:
        """Fetches one task, runs it and tells Redis the outcome; None when nothing is given out."""
        while not (fetched := await self._link.run(self._broker.fetch(_ID, 1))).tasks:
            # It may have taken an entry all the same: of a cancelled task, or of one that a limit sent back.
            if fetched.reply != "ok" or not fetched.waiting:
                return None
        [delivery] = fetched.tasks
        self._ended.clear()
        self._pool.put([delivery])
        await self._ended.wait()
        if not self._acker.count:
            raise RuntimeError(f"the worker itself failed on task {delivery.id} ({delivery.name}); its log says why")
        batch = await self._flush()
        return _run_of(self._queue.name, delivery, batch)

    async def leave(self) -> None:
        """Stops what runs, gives it back and leaves."""
        self._pool.stop()
        await self._pool.ended(_STOP_PATIENCE_S)
        self._acker.give_back([*self._pool.take_stopped(), *self._pool.take_stale(0.0)])
        if self._acker.count:
            await self._flush()
        await self._link.run(self._registry.unregister(_ID))
        await self._pool.close()
        await self._dead_hooks.close(_HOOK_PATIENCE_S)

    async def _flush(self) -> Batch:
        batch = self._acker.take()
        replies = await self._link.run_all(batch.calls(self._broker, _ID))
        self._acker.settle(batch, replies)
        return batch

    async def _process(self, slot: Slot, delivery: Delivery) -> None:
        if (strike := self._struck_by(delivery.name)) is not None:
            if strike == "cancel":
                await self._link.run(self._broker.ask_to_stop(delivery.id))
            asyncio.get_running_loop().call_soon(partial(_strike, slot, delivery, strike))
        await self._processor.process(slot, delivery)


def _strike(slot: Slot, delivery: Delivery, strike: Strike) -> None:
    """The loop has come to this, so the run waits for something, or has ended."""
    if slot.delivery is delivery and slot.waited:
        slot.expire() if strike == "timeout" else slot.cancel()


def _run_of(queue: str, delivery: Delivery, batch: Batch) -> Run:
    run = partial(Run, queue, delivery.name, delivery.id, delivery.attempt)
    if batch.completions:
        return run("completed")
    if batch.returns:
        return run("cancelled")
    match batch.exits[0].verdict:
        case RetryLater(delay_ms=delay_ms, error=error):
            return run("retried", error, delay_ms / 1_000)
        case Park(delay_ms=delay_ms, error=error):
            return run("parked", error, delay_ms / 1_000)
        case DeadLetter(error=error):
            return run("dead", error)
        case Crash(reason=reason):
            return run("crashed", reason)
