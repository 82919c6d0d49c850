"""Processor: one task from delivery to outcome.

1. finds the handler by the task's name (none: parked), 2. decodes arguments and options (malformed: dead),
3. runs the handler where it wants to run, under its timeout, 4. hands the outcome to the acker.
Whatever a handler raises is its task's outcome and nobody else's. A task whose code was stopped from outside
has no outcome: it goes back. If the process dies in here the task is still active in Redis, and is recovered.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Any

from ferryman.context import Context
from ferryman.errors import InvalidTask
from ferryman.options import RunSettings
from ferryman.protocol import Delivery
from ferryman_worker.acker import Acker
from ferryman_worker.counters import Counters
from ferryman_worker.drive import current_run, drive
from ferryman_worker.outcome import DeadLetter, Failure, Park, TimedOut, Verdict, decide, describe, malformed, unknown_name
from ferryman_worker.pool import Pool
from ferryman_worker.process_pool import Assignment, ProcessPool
from ferryman_worker.repertoire import Part, Repertoire
from ferryman_worker.slot import Slot
from ferryman_worker.threads import ThreadPool

logger = logging.getLogger(__name__)


class Processor:
    """Runs deliveries in slots. `deps` is what the queue's lifespan yielded."""

    def __init__(
        self,
        repertoire: Repertoire,
        acker: Acker,
        counters: Counters,
        threads: ThreadPool,
        processes: ProcessPool,
        deps: object,
    ) -> None:
        self._repertoire = repertoire
        self._acker = acker
        self._counters = counters
        self._threads = threads
        self._processes = processes
        self._deps = deps
        self._pool: Pool | None = None

    def work_in(self, pool: Pool) -> None:
        """The pool whose slots call `process`; it gets back what was stopped."""
        self._pool = pool

    async def process(self, slot: Slot, delivery: Delivery) -> None:
        """Runs one delivery to its outcome; raises nothing that a handler did."""
        started = perf_counter()
        repertoire = self._repertoire
        part = repertoire.parts.get(delivery.name)
        if part is None:
            slot.ended(0.0)
            verdict = unknown_name(delivery.name, self._counters.queue, delivery.parks)
            self._conclude(delivery, verdict, verdict.error, 0.0)
            return
        try:
            settings = repertoire.settings(part, delivery.options) if delivery.options else part.settings
            arguments = part.handler.decode_args(delivery.args)
        except InvalidTask as problem:
            slot.ended(0.0)
            self._fail(delivery, part, BUILT_IN, malformed(str(problem)), 0.0)
            return
        run = Context(
            self._deps,
            task_id=delivery.id,
            queue=self._counters.queue,
            task=delivery.name,
            attempt=delivery.attempt,
            max_attempts=settings.max_attempts,
            enqueued_ms=delivery.enqueued_ms,
        )
        try:
            if part.handler.run_in == "loop":
                call = part.handler.function(run, **arguments) if part.handler.wants_context else part.handler.function(**arguments)
                slot.interrupt = slot.task.cancel
                await drive(call, run, copy_context(), partial(slot.suspended, settings.timeout_s))
            elif part.handler.run_in == "thread":
                await self._in_thread(slot, part, run, arguments, settings)
            else:
                await self._in_process(slot, delivery, run, settings)
        except BaseException as error:
            run_s = perf_counter() - started
            slot.ended(run_s)
            self._raised(slot, delivery, part, settings, error, run_s)
        else:
            run_s = perf_counter() - started
            slot.ended(run_s)
            part.counters.completed += 1
            part.counters.run_seconds.observe(run_s)
            self._acker.complete(delivery, run_s, b"")
