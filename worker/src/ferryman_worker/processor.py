"""Processor: one task from delivery to outcome.

1. finds the handler by the task's name (none: parked), 2. decodes arguments and options (malformed: dead; fit for
another version: parked),
3. runs the handler where it wants to run, under its timeout, 4. hands the outcome to the acker.
Whatever a handler raises is its task's outcome and nobody else's. A task whose code was stopped from outside
has no outcome: it goes back. A task whose own child process died has crashed: that is charged to it, and no attempt
is. If the worker dies in here the task is still active in Redis, and is recovered.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from ferryman.context import Context, current_run
from ferryman.errors import InvalidTask
from ferryman.headers import NO_HEADERS
from ferryman.logs import trace_fields, worker_name
from ferryman.options import RunSettings, TaskOptions, headers_of
from ferryman.protocol import Delivery, kept_result, refused_result
from ferryman.results import UnkeepableResult, encode_result
from ferryman_worker.acker import Acker
from ferryman_worker.binder import Binder
from ferryman_worker.child import Assignment, Report
from ferryman_worker.counters import Counters, TaskCounters
from ferryman_worker.cut_short import STOPS, CutShort
from ferryman_worker.drive import drive
from ferryman_worker.outcome import (
    ChildDied,
    Crash,
    DeadLetter,
    Failure,
    NoChild,
    RetryLater,
    TimedOut,
    decide,
    describe,
    malformed,
    not_started,
)
from ferryman_worker.parking import Parking
from ferryman_worker.pool import Pool
from ferryman_worker.process_pool import FailedInChild, ProcessPool
from ferryman_worker.repertoire import Part, Repertoire
from ferryman_worker.slot import Slot
from ferryman_worker.surround import run_coroutine, run_plain
from ferryman_worker.threads import ThreadPool
from ferryman_worker.versions import Versions

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
        story_level: int = logging.DEBUG,
        binder: Binder | None = None,
        versions: Versions | None = None,
    ) -> None:
        self._repertoire = repertoire
        self._acker = acker
        self._counters = counters
        self._threads = threads
        self._processes = processes
        self._deps = deps
        self._binder = binder
        self._cut_short = CutShort(acker, self._where)
        self._parking = Parking(acker, counters, versions, self._cut_short, self._where)
        #: The level at which starts and good ends are logged; 0 when nobody would see them.
        self._story = story_level if logger.isEnabledFor(story_level) else 0

    def work_in(self, pool: Pool) -> None:
        """The pool whose slots call `process`; it gets back what was stopped."""
        self._cut_short.pool = pool

    async def process(self, slot: Slot, delivery: Delivery) -> None:
        """Runs one delivery to its outcome; raises nothing that a handler did."""
        started = perf_counter()
        repertoire = self._repertoire
        part = repertoire.parts.get(delivery.name)
        if part is None:
            await self._parking.unknown(slot, delivery)
            return
        try:
            settings, headers = part.settings, NO_HEADERS
            if delivery.options:
                options = TaskOptions.decode(delivery.options)
                settings, headers = repertoire.settings(part, options), options.headers or NO_HEADERS
                if options.binds:
                    assert self._binder is not None
                    binding = self._binder.bound(delivery.args, options.binds)
                    if (args := await self._cut_short.unless(slot, delivery, binding)) is None:
                        return
                    delivery = msgspec.structs.replace(delivery, args=args)
            try:
                arguments = part.handler.decode_args(delivery.args)
            except InvalidTask as problem:
                if await self._parking.unfit(slot, delivery, part.handler, str(problem)):
                    return
                raise
        except InvalidTask as problem:
            self._fail(delivery, part.counters, part.settings, malformed(str(problem)), 0.0)
            return
        run = Context(
            self._deps,
            task_id=delivery.id,
            queue=self._counters.queue,
            task=delivery.name,
            attempt=delivery.attempt,
            max_attempts=settings.max_attempts,
            enqueued_ms=delivery.enqueued_ms,
            deliveries=delivery.token,
            headers=headers,
            tell=self._acker.progress.tell,
        )
        if self._story:
            self._tell("started", delivery)
        slot.timeout_s = settings.timeout_s
        try:
            value = await self._run(slot, delivery, part, run, arguments, settings.keep_result_ms)
        except BaseException as error:  # noqa: BLE001  (SystemExit and the like are a task's outcome, too)
            run_s = perf_counter() - started
            slot.ended(run_s)
            self._raised(slot, delivery, part, settings, error, run_s)
        else:
            run_s = perf_counter() - started
            slot.ended(run_s)
            part.counters.ran_well(run_s)
            if self._story:
                self._tell(f"completed in {run_s:.3g} s", delivery)
            keep_ms = settings.keep_result_ms
            self._acker.complete(delivery, run_s, self._kept(delivery, keep_ms, value) if keep_ms else b"")

    def _run(
        self, slot: Slot, delivery: Delivery, part: Part, run: Context[Any], arguments: dict[str, object], keep_ms: int
    ) -> Awaitable[object]:
        handler, around = part.handler, part.around
        if handler.run_in == "process":
            return self._in_process(slot, delivery, run, keep_ms > 0)
        positional = (run,) if handler.wants_context else ()
        if handler.run_in == "thread":
            call = partial(handler.function, *positional, **arguments)
            return self._in_thread(slot, partial(run_plain, around, run, call) if around else call, run)
        slot.interrupt = slot.task.cancel
        if around:
            coroutine = run_coroutine(around, run, partial(handler.function, *positional, **arguments), slot)
        else:
            coroutine = handler.function(*positional, **arguments)
        return drive(coroutine, run, copy_context(), slot.suspended)

    async def _in_thread(self, slot: Slot, call: Callable[[], Any], run: Context[Any]) -> object:
        variables = copy_context()
        variables.run(current_run.set, run)
        job = self._threads.submit(call, variables)
        slot.interrupt = job.interrupt
        slot.suspended()
        return await job.future

    async def _in_process(self, slot: Slot, delivery: Delivery, run: Context[Any], keeps: bool) -> Report:
        assignment = Assignment(
            delivery.name,
            delivery.args,
            run.task_id,
            run.attempt,
            run.max_attempts,
            run.enqueued_ms,
            run.deliveries,
            dict(run.headers),
            worker_name(),
            keeps,
        )
        slot.interrupt = _nothing_to_stop_yet
        slot.suspended()
        async with self._processes.child() as child:
            slot.interrupt = child.kill
            if slot.stopping or slot.timed_out or slot.cancelled:
                child.kill()
            return await child.run(assignment, self._acker.progress.tell)

    def _raised(
        self, slot: Slot, delivery: Delivery, part: Part, settings: RunSettings, error: BaseException, run_s: float
    ) -> None:
        if (cut_by := self._cut_short.by(slot, delivery, error)) is not None:
            if cut_by == "cancel":
                part.counters.run_seconds.observe(run_s)
            return
        if slot.timed_out and isinstance(error, STOPS):
            error = TimedOut(slot.timeout_s or 0.0).with_traceback(error.__traceback__)
        if isinstance(error, ChildDied):
            self._crashed(delivery, part.counters, str(error), run_s)
            return
        if isinstance(error, NoChild):
            failure = not_started(error)
        elif isinstance(error, FailedInChild):
            failure = error.failure
        else:
            failure = describe(error, part.handler.dead_letter_on)
        part.counters.run_seconds.observe(run_s)
        self._fail(delivery, part.counters, settings, failure, run_s)

    def _kept(self, delivery: Delivery, keep_ms: int, value: object) -> bytes:
        """What is kept of a result. One that can't be kept fails no task: running it again would return it again."""
        try:
            if not isinstance(value, Report):
                return kept_result(keep_ms, encode_result(value))
            if not value.problem:
                return kept_result(keep_ms, value.result)
            problem = value.problem
        except UnkeepableResult as error:
            problem = str(error)
        logger.error("%s has completed, but %s", delivery.name, problem, extra=self._where(delivery))
        return refused_result(keep_ms, problem)

    def _crashed(self, delivery: Delivery, counters: TaskCounters, reason: str, run_s: float) -> None:
        counters.crashed += 1
        where = self._where(delivery)
        logger.error("%s crashed (number %d): %s", delivery.name, delivery.crashes + 1, reason, extra=where)
        self._acker.fail(delivery, Crash(reason), run_s)

    def _fail(
        self, delivery: Delivery, counters: TaskCounters, settings: RunSettings, failure: Failure, run_s: float
    ) -> None:
        verdict = decide(failure, delivery.attempt, settings)
        where = self._where(delivery)
        match verdict:
            case RetryLater(delay_ms=delay_ms):
                counters.retried += 1
                level = logging.INFO if failure.asked else logging.WARNING
                again = f"again in {delay_ms / 1_000:g} s"
                logger.log(level, "%s: %s; %s", delivery.name, failure.summary, again, extra=where)
            case DeadLetter():
                counters.dead += 1
                logger.error("%s is dead: %s", delivery.name, failure.text, extra=where)
        self._acker.fail(delivery, verdict, run_s)

    def _tell(self, what: str, delivery: Delivery) -> None:
        """Of a run that goes well; nobody asks for that unless the level, or FERRYMAN_LOG_TASKS, says so."""
        logger.log(self._story, "%s %s", delivery.name, what, extra=self._where(delivery))

    def _where(self, delivery: Delivery) -> dict[str, object]:
        """What every record about this delivery carries."""
        return {
            "task_id": delivery.id,
            "queue": self._counters.queue,
            "task": delivery.name,
            "attempt": delivery.attempt,
            **trace_fields(headers_of(delivery.options)),
        }


def _nothing_to_stop_yet() -> None:
    """A child is on its way; it is looked at again when it is there."""
