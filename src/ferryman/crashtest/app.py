"""The app that the workers of a crash test run: tasks that take some time and write down that they ran.

Three kinds of handler, since a worker stops each in another way: a coroutine is cancelled, a thread is
interrupted, a process is killed.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

from ferryman.context import Context
from ferryman.crashtest.execution_log import ExecutionLog, LogFile, PlannedFailure
from ferryman.limits import Limits
from ferryman.queue import Queue
from ferryman.schedule import Cron, Misfire

#: The names of the tasks.
IN_LOOP: Final = "in_loop"
IN_THREAD: Final = "in_thread"
IN_PROCESS: Final = "in_process"
#: Of a workflow: it takes the results of those that it waits for.
JOINED: Final = "joined"

#: What is scheduled: every second, as the operator publishes it, and every minute, as the code below says.
ON_TIME: Final = "on_time"
MINUTELY: Final = "minutely"

#: Of each lane. The rate holds a full lane back now and then, too.
LANE_CONCURRENCY: Final = 2
LIMITS: Final = Limits(lane_concurrency=LANE_CONCURRENCY, lane_rate="20/s")

#: At this signal a worker takes memory until something ends it.
HOG_SIGNAL: Final = signal.SIGUSR1
#: It is locked in by then; if it is not, this machine must not suffer (bytes).
_HOG_AT_MOST: Final = 256 << 20
_HOG_STEP: Final = 4 << 20

#: How long a scheduled task takes.
_ON_TIME_S: Final = 0.02


def work_queue(name: str, log: Path, process: str, redis_url: str | None = None) -> Queue:
    """The queue as one worker process, called `process`, runs it. `redis_url` is for who enqueues."""
    queue = Queue(name, redis_url=redis_url, limits=LIMITS)
    executions = LogFile(log, process)
    define_tasks(queue, executions)
    define_scheduled_tasks(queue, executions)
    return queue


def define_tasks(queue: Queue, executions: ExecutionLog) -> None:
    """Registers the tasks of a crash test."""

    @queue.task(name=IN_LOOP)
    async def in_loop(ctx: Context[None], ms: float, fails: int = 0) -> str:
        with executions.execution(ctx):
            await asyncio.sleep(ms / 1_000)
            _fail_as_planned(ctx, fails)
        return ctx.task_id

    def blocking(ctx: Context[None], ms: float, fails: int = 0) -> str:
        with executions.execution(ctx):
            time.sleep(ms / 1_000)
            _fail_as_planned(ctx, fails)
        return ctx.task_id

    @queue.task(name=JOINED)
    async def joined(ctx: Context[None], ms: float, after: list[str], results: list[str | None], fails: int = 0) -> str:
        if strange := [one for one, own in zip(after, results, strict=True) if own not in (one, None)]:
            raise AssertionError(f"what it got is not the result of {strange[0]}: {results}")
        with executions.execution(ctx):
            await asyncio.sleep(ms / 1_000)
            _fail_as_planned(ctx, fails)
        return ctx.task_id

    queue.task(name=IN_THREAD)(blocking)
    queue.task(name=IN_PROCESS, run_in="process")(blocking)


def define_scheduled_tasks(queue: Queue, executions: ExecutionLog) -> None:
    """Registers those that schedules enqueue, and a schedule: what nobody fired in time is fired later."""

    @queue.task(name=ON_TIME)
    async def on_time(ctx: Context[None]) -> None:
        with executions.execution(ctx):
            await asyncio.sleep(_ON_TIME_S)

    queue.task(name=MINUTELY, cron=Cron("* * * * *", misfire=Misfire.ALL))(on_time.function)


def listen_for_hog_signal() -> None:
    """Called where the app is imported, in the main thread, by workers only."""
    signal.signal(HOG_SIGNAL, lambda *_: _hog())


def app_file(folder: Path, name: str, log: Path, process: str) -> Path:
    """Writes the module that a worker is given with --app, and returns its path."""
    path = folder / f"app_{process.replace('-', '_').replace('.', '_')}.py"
    path.write_text(
        "from pathlib import Path\n\n"
        "from ferryman.crashtest.app import listen_for_hog_signal, work_queue\n\n"
        f"queue = work_queue({name!r}, Path({str(log)!r}), {process!r})\n"
        "listen_for_hog_signal()\n",
        encoding="utf-8",
    )
    return path


def _hog() -> None:
    # Every page is written to, so that it is there for real.
    [b"\1" * _HOG_STEP for _ in range(_HOG_AT_MOST // _HOG_STEP)]


def _fail_as_planned(ctx: Context[None], fails: int) -> None:
    if ctx.attempt <= fails:
        raise PlannedFailure(f"attempt {ctx.attempt} fails, as the plan says")
