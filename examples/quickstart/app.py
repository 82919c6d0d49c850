"""Quickstart: six small tasks to see what Ferryman does with work that succeeds, waits, fails, dies and burns.

Run them:      ferryman worker quickstart --app examples/quickstart/app.py
Give it work:  ferryman enqueue quickstart echo '{"value": "hello"}'
Kill a worker: ferryman enqueue quickstart crash_once
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import NoReturn

from ferryman import Context, Queue

queue = Queue("quickstart")


@queue.task
async def echo(value: str) -> str:
    """Says what it was given."""
    return value


@queue.task
async def sleep(seconds: float) -> None:
    """Waits, as a task does that talks to a slow service."""
    await asyncio.sleep(seconds)


@queue.task
async def fail(message: str) -> None:
    """Fails on every attempt: watch it being retried, and end in dead."""
    raise RuntimeError(message)


@queue.task
async def crash() -> None:
    """Takes its whole worker process along. Its crash budget runs out, and it ends in dead with evidence."""
    _kill_this_worker()


@queue.task
async def crash_once(ctx: Context[None]) -> None:
    """Kills the worker that takes it first, with all that runs there; recovered, it ends well. Nothing is lost."""
    if ctx.deliveries == 1:
        _kill_this_worker()


@queue.task(run_in="process")
def burn(seconds: float) -> int:
    """Uses a CPU for some seconds, in a process of its own; returns how many rounds it made."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        rounds += 1
    return rounds


def _kill_this_worker() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)  # only the first process of a container gets here: the kernel lets nobody inside kill it
