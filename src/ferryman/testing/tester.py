"""Tester: what a test sees of its tasks, and how it makes them run.

Inside it every producer of this process enqueues into a server of the test's own, by the real scripts. Nothing runs by
itself, and time stands still: `run_until_idle` is a worker that works until nothing is due, `advance` moves the clock
with the scheduler at work. So a test is over in milliseconds, whatever delays and retries are in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, ExitStack, nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, ParamSpec, overload

from ferryman import pools
from ferryman.broker import Broker
from ferryman.durations import Duration, duration_ms
from ferryman.handler import AnyHandler, Handler
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import SyncLink
from ferryman.queue import Queue, queues_defined
from ferryman.task import Task, TaskState
from ferryman.testing.almanac import AT_MOST as OCCURRENCES_AT_MOST
from ferryman.testing.almanac import Almanac
from ferryman.testing.clock import Clock, load_timed
from ferryman.testing.recording_links import RecordingLink, RecordingSyncLink
from ferryman.testing.records import Records, results_taken
from ferryman.testing.rehearsal import Rehearsal, find_rehearsal
from ferryman.testing.run import Run
from ferryman.testing.seen_task import SeenTask, see
from ferryman.testing.server import Server
from ferryman.testing.strikes import Strikes

P = ParamSpec("P")

#: More runs than this in one go are taken for a task that enqueues itself without end.
AT_MOST: Final = 1_000

#: Chooses tasks: those of a handler, those of a name, or all.
Which = AnyHandler | str | None


class Tester:
    """A context manager; `server` is a fake Redis of its own unless given. One at a time in a process."""

    __test__: ClassVar = False  # pytest takes what is named Test… for a test

    def __init__(self, server: Server | None = None) -> None:
        self._server = server or _fake_redis()
        self._clock = Clock()
        self._records = Records()
        self._lifespans: dict[Queue, Callable[[], AbstractAsyncContextManager[Any]]] = {}
        self._strikes = Strikes()
        self._link: SyncLink
        self._almanac: Almanac
        self._exits = ExitStack()

    def __enter__(self) -> Tester:
        self._server.clear()
        self._link = SyncLink(self._server.sync_client(), load_timed)
        self._exits.callback(self._link.close)
        self._link.run(self._clock.set())
        record = self._records.add
        self._almanac = Almanac(self._link, self._clock, record)
        self._exits.enter_context(
            pools.replaced(
                lambda: RecordingLink(self._server.client(), record),
                lambda: RecordingSyncLink(self._server.sync_client(), record),
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    # What was enqueued, and where it is.

    @overload
    def enqueued(self, task: Handler[P, ..., Any]) -> list[SeenTask[P]]: ...
    @overload
    def enqueued(self, task: str | None = None) -> list[SeenTask[...]]: ...
    def enqueued(self, task: Which = None) -> list[SeenTask[Any]]:
        """Every task that was enqueued since the test began, wherever it is now, in that order.

        `task` chooses those of one handler, or of a name when the handler lives in another repository.
        """
        self._records.look_for_compensations(self._link)
        chosen = [r for r in self._records.tasks if task is None or _is_of(r, task)]
        present = self._link.run_all([Inspector(r.queue).get(r.id) for r in chosen])
        taken = results_taken(self._link, chosen)
        return [see(*one, _handler_of(one[0], task)) for one in zip(chosen, present, taken, strict=True)]

    @overload
    def waiting(self, task: Handler[P, ..., Any]) -> list[SeenTask[P]]: ...
    @overload
    def waiting(self, task: str | None = None) -> list[SeenTask[...]]: ...
    def waiting(self, task: Which = None) -> list[SeenTask[Any]]:
        """Those that a worker would fetch now."""
        return self._in_state(TaskState.WAITING, task)

    @overload
    def delayed(self, task: Handler[P, ..., Any]) -> list[SeenTask[P]]: ...
    @overload
    def delayed(self, task: str | None = None) -> list[SeenTask[...]]: ...
    def delayed(self, task: Which = None) -> list[SeenTask[Any]]:
        """Those whose moment has not come, or whose next run has not; `run_at` tells it."""
        return self._in_state(TaskState.DELAYED, task)

    @overload
    def completed(self, task: Handler[P, ..., Any]) -> list[SeenTask[P]]: ...
    @overload
    def completed(self, task: str | None = None) -> list[SeenTask[...]]: ...
    def completed(self, task: Which = None) -> list[SeenTask[Any]]:
        """Those that ended well."""
        return self._in_state(TaskState.COMPLETED, task)

    @overload
    def dead(self, task: Handler[P, ..., Any]) -> list[SeenTask[P]]: ...
    @overload
    def dead(self, task: str | None = None) -> list[SeenTask[...]]: ...
    def dead(self, task: Which = None) -> list[SeenTask[Any]]:
        """Those that gave up; `error` tells why."""
        return self._in_state(TaskState.DEAD, task)

    def stats(self, queue: Queue) -> QueueStats:
        """All figures of a queue, as `ferryman stats` shows them."""
        return self._link.run(Inspector(queue.name).stats(exact=True))

    # Running.

    async def run_until_idle(self, *, at_most: int = AT_MOST) -> list[Run]:
        """Work until nothing is due, also what handlers enqueue meanwhile; returns the runs in order.

        It is one life of a worker: it enters the queue's lifespan when it has something to do, and leaves it. Tasks
        run one after another. What a handler raises is its task's outcome, as in a worker, and not raised here.

        Raises AssertionError after `at_most` runs, and RuntimeError when `ferryman-worker` is not installed.
        """
        return await self._work(at_most, in_this_thread=False)

    def run_until_idle_sync(self, *, at_most: int = AT_MOST) -> list[Run]:
        """The same, blocking: for tests that are no coroutines, such as those of Django's TestCase.

        Plain handlers, and what coroutines give to asgiref's `sync_to_async`, run in this thread: they use its
        database connection, and see what the test has not committed.
        """
        return _blocking(self._work)(at_most, in_this_thread=True)

    async def run_until_empty(self, *, at_most: int = AT_MOST) -> list[Run]:
        """Work until every task is completed or dead: the clock is moved to each moment at which one is due."""
        return await self._work_and_advance(at_most, in_this_thread=False)

    def run_until_empty_sync(self, *, at_most: int = AT_MOST) -> list[Run]:
        """The same, blocking, as run_until_idle_sync."""
        return _blocking(self._work_and_advance)(at_most, in_this_thread=True)

    def override_deps(self, queue: Queue, deps: object) -> None:
        """From now on `ctx.deps` of this queue's handlers is this, and its lifespan is not entered."""
        self._lifespans[queue] = lambda: nullcontext(deps)

    def timing_out(self, *handlers: AnyHandler) -> AbstractContextManager[None]:
        """Inside, runs of these handlers hit their timeout as soon as they wait for something.

        A coroutine gets its CancelledError there; one that waits for nothing comes to its end, as it would in a
        worker. A `run_in="process"` handler is not called at all, since a process that is killed leaves nothing.
        Raises ValueError for a handler in a thread: those can have no timeout.
        """
        return self._strikes.on(handlers, "timeout")

    def cancelling(self, *handlers: AnyHandler) -> AbstractContextManager[None]:
        """Inside, somebody cancels the tasks of these handlers as soon as their runs wait for something.

        They stop as by a timeout, and their tasks are discarded. Raises ValueError for a handler in a thread.
        """
        return self._strikes.on(handlers, "cancel")

    # Time.

    @property
    def now(self) -> datetime:
        """The tests' time: Redis' clock, as the scripts see it. `datetime.now()` is not touched."""
        return datetime.fromtimestamp(self._clock.now_ms / 1_000, UTC)

    def advance(self, duration: Duration) -> None:
        """So much later: what is due by then waits for a worker, also what `cron=` says. Nothing is run.

        Raises ValueError, and AssertionError when schedules have come due more than a thousand times.
        """
        self._advance_ms(duration_ms(duration))

    def _advance_ms(self, ms: int) -> None:
        until_ms, fires = self._clock.now_ms + ms, 0
        self._almanac.begin()
        while (at_ms := self._almanac.next_ms()) is not None and at_ms <= until_ms:
            self._set(at_ms)
            self._almanac.fire_due()
            if (fires := fires + 1) > OCCURRENCES_AT_MOST:
                raise AssertionError(f"schedules have come due more than {OCCURRENCES_AT_MOST} times; advance by less")
        self._set(until_ms)
        for name in self._queue_names():
            while self._link.run(Broker(name).promote()).count or self._link.run(Broker(name).expire()).count:
                pass
            while self._link.run(Broker(name).advance()).left:
                pass

    def _set(self, now_ms: int) -> None:
        self._clock.now_ms = now_ms
        self._link.run(self._clock.set())

    # The rest.

    def _in_state(self, state: TaskState, task: Which) -> list[SeenTask[Any]]:
        return [seen for seen in self.enqueued(task) if seen.state is state]

    def _queue_names(self) -> list[str]:
        return list(dict.fromkeys(task.queue for task in self._records.tasks))

    def _queues(self) -> Iterator[Queue]:
        """The queues that have tasks, and handlers in this process."""
        for name in self._queue_names():
            if able := [queue for queue in queues_defined(name) if queue.handlers]:
                yield able[-1]

    async def _work(self, at_most: int, in_this_thread: bool) -> list[Run]:
        runs: list[Run] = []
        async with AsyncExitStack() as lives:
            rehearsals: dict[Queue, Rehearsal] = {}
            while True:
                before = len(runs)
                for queue in self._queues():
                    if not self.stats(queue).waiting:
                        continue
                    if queue not in rehearsals:
                        life = self._life(queue, in_this_thread)
                        rehearsals[queue] = await lives.enter_async_context(life)
                    self._records.look_for_compensations(self._link)
                    if (run := await rehearsals[queue].run_next()) is not None:
                        runs.append(run)
                if len(runs) == before:
                    return runs
                if len(runs) > at_most:
                    raise AssertionError(f"more than {at_most} runs, and still tasks wait: {_counted(runs)}")

    async def _work_and_advance(self, at_most: int, in_this_thread: bool) -> list[Run]:
        runs: list[Run] = []
        while True:
            runs += await self._work(at_most, in_this_thread)
            due = [ms for queue in self._queues() if (ms := self.stats(queue).next_due_ms) is not None]
            if not due:
                return runs
            if len(runs) > at_most:
                raise AssertionError(f"more than {at_most} runs, and still tasks are delayed: {_counted(runs)}")
            self._advance_ms(max(min(due) - self._clock.now_ms, 0))

    def _life(self, queue: Queue, in_this_thread: bool) -> AbstractAsyncContextManager[Rehearsal]:
        lifespan = self._lifespans.get(queue) or queue.lifespan or nullcontext
        return find_rehearsal()(
            queue,
            pools.link_for(None),
            lifespan(),
            lambda task: self._strikes.of(queue, task),
            in_this_thread,
        )


def _is_of(task: Task, which: AnyHandler | str) -> bool:
    return task.name == which if isinstance(which, str) else (task.queue, task.name) == (which.queue.name, which.name)


def _handler_of(task: Task, which: Which) -> AnyHandler | None:
    if isinstance(which, Handler):
        return which
    able = [queue.handlers[task.name] for queue in queues_defined(task.queue) if task.name in queue.handlers]
    return able[-1] if able else None


def _counted(runs: list[Run]) -> str:
    names = [run.task for run in runs]
    return ", ".join(f"{names.count(name)} of {name}" for name in sorted(set(names)))


def _blocking(work: Any) -> Callable[..., list[Run]]:
    try:
        from asgiref.sync import async_to_sync
    except ImportError:
        raise RuntimeError("a blocking run takes asgiref. Install it: pip install 'ferryman[testing]'") from None
    blocking: Callable[..., list[Run]] = async_to_sync(work)
    return blocking


def _fake_redis() -> Server:
    try:
        from ferryman.testing.fake_redis import FakeRedis
    except ImportError:
        raise RuntimeError("there is no Redis to fake with. Install it: pip install 'ferryman[testing]'") from None
    return FakeRedis()
