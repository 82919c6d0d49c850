"""The app that the workers of a crash test run: tasks that take some time and write down that they ran.

Three kinds of handler, since a worker stops each in another way: a coroutine is cancelled, a thread is
interrupted, a process is killed.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from ferryman.context import Context
from ferryman.crashtest.execution_log import ExecutionLog, PlannedFailure
from ferryman.queue import Queue

#: The names of the tasks.
IN_LOOP: Final = "in_loop"
IN_THREAD: Final = "in_thread"
IN_PROCESS: Final = "in_process"


def work_queue(name: str, log: Path, process: str, redis_url: str | None = None) -> Queue:
    """The queue as one worker process, called `process`, runs it. `redis_url` is for who enqueues."""
    queue = Queue(name, redis_url=redis_url)
    executions = ExecutionLog(log, process)

    @queue.task(name=IN_LOOP)
    async def in_loop(ctx: Context[None], ms: float, fails: int = 0) -> None:
        with executions.execution(ctx):
            await asyncio.sleep(ms / 1_000)
            _fail_as_planned(ctx, fails)

    def blocking(ctx: Context[None], ms: float, fails: int = 0) -> None:
        with executions.execution(ctx):
            time.sleep(ms / 1_000)
            _fail_as_planned(ctx, fails)

    queue.task(name=IN_THREAD)(blocking)
    queue.task(name=IN_PROCESS, run_in="process")(blocking)
    return queue


def app_file(folder: Path, name: str, log: Path, process: str) -> Path:
    """Writes the module that a worker is given with --app, and returns its path."""
    path = folder / f"app_{process.replace('-', '_').replace('.', '_')}.py"
    path.write_text(
        "from pathlib import Path\n\n"
        "from ferryman.crashtest.app import work_queue\n\n"
        f"queue = work_queue({name!r}, Path({str(log)!r}), {process!r})\n",
        encoding="utf-8",
    )
    return path


def _fail_as_planned(ctx: Context[None], fails: int) -> None:
    if ctx.attempt <= fails:
        raise PlannedFailure(f"attempt {ctx.attempt} fails, as the plan says")
