"""Worker: the life of one worker process, from its first registration to its exit code.

1. enters the queue's lifespan, 2. joins under a fresh id (recovering a dead predecessor of the same container),
3. serves: fetcher, pool and acker work, the pulse watches, 4. when ownership is gone, stops its code for real,
settles what it may and joins again, 5. on SIGTERM goes quiet, waits for running tasks, stops the rest, gives
back what is left, leaves.

A crash at any point leaves tasks in this worker's active list and nowhere else; they are recovered by the next
process of this container, or when the promise runs out.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.logs import name_worker
from ferryman.policy import Policy
from ferryman.queue import Queue
from ferryman.workers import WorkerRegistry
from ferryman_worker.acker import Acker, OwnershipGone
from ferryman_worker.binder import Binder
from ferryman_worker.board import Board
from ferryman_worker.counters import Counters
from ferryman_worker.dead_hooks import DeadHooks
from ferryman_worker.fetcher import Fetcher
from ferryman_worker.late_fetch import give_back_late
from ferryman_worker.listener import Listener
from ferryman_worker.pool import Pool
from ferryman_worker.process_pool import ProcessPool
from ferryman_worker.processor import Processor
from ferryman_worker.pulse import Pulse
from ferryman_worker.repertoire import Repertoire
from ferryman_worker.settings import WorkerSettings
from ferryman_worker.stop import StopRequest, exit_hard
from ferryman_worker.tenure import Registrar
from ferryman_worker.threads import ThreadPool
from ferryman_worker.versions import Versions

logger = logging.getLogger(__name__)

#: After the code was told to stop: how long it may take, unless its tasks may run elsewhere sooner.
STOP_PATIENCE_S = 1.5
#: Until this process has noticed that its promise has run out, and has ended.
_NOTICE_S = 0.3
#: The last words of a stopping worker: outcomes, and what goes back.
SETTLE_PATIENCE_S = 5.0


class Worker:
    """Everything that runs in the worker's event loop."""

    def __init__(
        self,
        settings: WorkerSettings,
        queue: Queue,
        link: Link,
        listening: Link,
        board: Board,
        registrar: Registrar,
        processes: ProcessPool,
        stop: StopRequest,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._link = link
        self._listening = listening
        self._board = board
        self._registrar = registrar
        self._processes = processes
        self._stop = stop
        self.counters = counters
        self._broker = Broker(queue.name)
        self._registry = WorkerRegistry(queue.name)
        self._dead_hooks = DeadHooks(queue.middlewares)
        self._acker = Acker(counters, self._dead_hooks)
        self._repertoire = Repertoire(queue.handlers, counters, Policy(), settings.task_timeout_ms)
        self._fetcher: Fetcher | None = None
        self.pool: Pool

    async def run(self) -> int:
        """Returns the exit code."""
        lifespan: AbstractAsyncContextManager[Any] = self._queue.lifespan() if self._queue.lifespan else nullcontext()
        threads = ThreadPool(self._settings.concurrency, asyncio.get_running_loop())
        async with lifespan as deps:
            processor = Processor(
                self._repertoire,
                self._acker,
                self.counters,
                threads,
                self._processes,
                deps,
                logging.INFO if self._settings.log_tasks else logging.DEBUG,
                Binder(self._link, self._queue.name),
                Versions(self._link, self._queue.name),
            )
            self.pool = Pool(self._settings.concurrency, processor.process, self._progress)
            processor.work_in(self.pool)
            pulse = Pulse(self._board, self._link, self._queue.name, self._repertoire, self._registrar, self._stop)
            try:
                self._board.set_ready(True)
                while not self._stop.requested:
                    await self._serve(pulse)
            finally:
                self._board.set_ready(False)
                pulse.end()
                await self.pool.close()
                await self._dead_hooks.close(SETTLE_PATIENCE_S)
                threads.close()
        return self._stop.exit_code

    def _progress(self) -> None:
        if self._fetcher is not None:
            self._fetcher.progress()

    async def _serve(self, pulse: Pulse) -> None:
        """One tenure: from joining until ownership is gone or a stop is asked for."""
        worker = await self._join()
        if worker is None:
            return
        listener = Listener(self._listening, self._broker, self._wake)
        fetcher = self._fetcher = Fetcher(
            worker, self._link, listener, self._broker, self._registry, self.pool, self._acker, self.counters
        )
        talk = asyncio.create_task(fetcher.run(), name="fetcher")
        pulse.watch(fetcher)
        try:
            why = await self._until_it_ends(talk, pulse)
            if why is None:
                why = await self._finish(fetcher, pulse)
            if why is not None:
                logger.error("%s: stopping its code", why, extra={"worker": worker})
                fetcher.go_quiet()
            if not await self._stop_code(owner=why is None):
                if why is None:  # still the owner: there is time for last words
                    await self._settle(fetcher, talk, SETTLE_PATIENCE_S)
                    await self._registrar.resign(worker, "it was told to stop, and its code could not be")
                exit_hard("a task's code can't be stopped: the process ends with it")
            await self._settle(fetcher, talk, None if why is not None else SETTLE_PATIENCE_S)
            left = await self._registrar.leave(worker)
            held = self._acker.held()
            if why is None and not left and await give_back_late(self._link, self._queue.name, worker, held):
                left = await self._registrar.leave(worker)
            if why is None and not left:
                self._stop.exit_code = self._stop.exit_code or 1
        except Exception:
            logger.exception("the worker itself failed")
            await self._registrar.resign(worker, "the worker itself failed")
            exit_hard("its tasks must not run on without anybody who minds them")
        finally:
            pulse.watch(None)
            self._fetcher = None
            self.pool.reopen()

    async def _join(self) -> str | None:
        joining = asyncio.create_task(self._registrar.join(), name="join")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait({joining, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not joining.done():
            joining.cancel()
            await asyncio.wait({joining})
            _, half_joined = self._board.identity()
            if half_joined:
                await self._registrar.leave(half_joined)
            return None
        worker, policy = joining.result()
        name_worker(worker)
        self._repertoire.follow(policy)
        logger.info(
            "serving queue %s with %d slots, tasks: %s",
            self._queue.name,
            self._settings.concurrency,
            ", ".join(sorted(self._queue.handlers)) or "none",
            extra={"worker": worker},
        )
        return worker

    def _wake(self) -> None:
        if self._fetcher is not None:
            self._fetcher.wake()

    async def _until_it_ends(self, talk: asyncio.Task[None], pulse: Pulse) -> str | None:
        """Why ownership is gone, or None when a stop was asked for."""
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        gone = asyncio.create_task(pulse.gone(), name="gone")
        try:
            await asyncio.wait({talk, stopping, gone}, return_when=asyncio.FIRST_COMPLETED)
            if talk.done() and (error := talk.exception()) is not None:
                if not isinstance(error, OwnershipGone):
                    raise error
                return str(error)
            return gone.result() if gone.done() else None
        finally:
            stopping.cancel()
            gone.cancel()

    async def _finish(self, fetcher: Fetcher, pulse: Pulse) -> str | None:
        """Quiet: takes nothing new, and lets what runs come to its end within the grace. Returns why ownership is gone,
        if it is: then the code must stop as soon as at any other time, and no grace counts."""
        self._board.set_ready(False)
        logger.info("quiet: %d tasks running, %g s for them to end", self.pool.running, self._settings.grace_ms / 1_000)
        fetcher.go_quiet()
        await self.pool.ended(self._settings.grace_ms / 1_000, unless=lambda: self._stop.hurried or pulse.is_gone)
        return await pulse.gone() if pulse.is_gone else None

    async def _stop_code(self, *, owner: bool) -> bool:
        patience_s = STOP_PATIENCE_S if owner else min(STOP_PATIENCE_S, self._registrar.respite_s - _NOTICE_S)
        if self.pool.running:
            logger.warning("stopping %d running tasks", self.pool.running)
            self.pool.stop()
        return await self.pool.ended(patience_s)

    async def _settle(self, fetcher: Fetcher, talk: asyncio.Task[None], patience_s: float | None) -> None:
        """Tells Redis every outcome, and gives back what was stopped; without a limit, a stop still sets one."""
        self._acker.give_back(self.pool.take_stopped())
        fetcher.settle()
        limit = asyncio.create_task(self._patience(patience_s))
        await asyncio.wait({talk, limit}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if talk.done() and isinstance(talk.exception(), OwnershipGone):
            if lost := self._acker.drop():
                logger.warning("dropped %d outcomes: their tasks are no longer this worker's", lost)
        elif not talk.done():
            talk.cancel()
            await asyncio.wait({talk})
            logger.error("Redis does not answer: %d outcomes are lost, their tasks will run again", self._acker.drop())
            self._stop.exit_code = 1

    async def _patience(self, patience_s: float | None) -> None:
        if patience_s is None:
            await self._stop.wait()
        await asyncio.sleep(patience_s or SETTLE_PATIENCE_S)
