"""The app of the tested workers: handlers that behave badly in one way each, and write down when they did what."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ferryman import Context, Queue

_LOG = os.environ["YARD_LOG"]


def log(word: str, *words: object) -> None:
    """One line, by every process of this machine on the same clock."""
    with open(_LOG, "a", encoding="utf-8") as file:
        file.write(" ".join(map(str, (time.monotonic_ns(), word, *words))) + "\n")


@asynccontextmanager
async def lifespan() -> AsyncIterator[str]:
    log("enter", os.getpid())
    yield "deps"
    log("leave", os.getpid())


queue = Queue("bench", lifespan=lifespan)


@queue.task
async def note(ctx: Context[str]) -> None:
    log("note", ctx.task_id, ctx.deps, ctx.max_attempts)


@queue.task
async def typed(ctx: Context[str], number: int) -> None:
    log("typed", ctx.task_id, number)


@queue.task
async def nap(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    await asyncio.sleep(seconds)
    log("end", ctx.task_id)


@queue.task
async def wait(ctx: Context[str], path: str) -> None:
    log("start", ctx.task_id, os.getpid())
    try:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        log("cancelled", ctx.task_id)
        raise
    log("end", ctx.task_id)


@queue.task(max_attempts=9)
async def fail_once(ctx: Context[str], path: str) -> None:
    """Its first run fails, the next ones end when the gate is open."""
    log("start", ctx.task_id, os.getpid(), ctx.attempt)
    if ctx.attempt == 1:
        raise RuntimeError("the first run")
    while not os.path.exists(path):
        await asyncio.sleep(0.01)
    log("end", ctx.task_id)


@queue.task
async def block(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    time.sleep(seconds)
    log("end", ctx.task_id)


@queue.task
async def hold_gil(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    log("end", ctx.task_id)


@queue.task
async def pill(ctx: Context[str]) -> None:
    log("start", ctx.task_id, os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


@queue.task
def stuck(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    threading.Event().wait(seconds)  # in C code, where no interrupt is heard
    log("end", ctx.task_id)


@queue.task
def deaf(ctx: Context[str], path: str) -> None:
    """A thread that no interrupt stops, and that says all the time that it runs."""
    log("start", ctx.task_id, os.getpid())
    while not os.path.exists(path):
        try:
            log("runs", ctx.task_id, os.getpid())
            time.sleep(0.005)
        except BaseException:
            log("heard", ctx.task_id)
    log("end", ctx.task_id)


@queue.task
async def deaf_coroutine(ctx: Context[str], path: str) -> None:
    """The same, as a coroutine that takes no cancellation for an answer."""
    log("start", ctx.task_id, os.getpid())
    while not os.path.exists(path):
        try:
            log("runs", ctx.task_id, os.getpid())
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            log("heard", ctx.task_id)
    log("end", ctx.task_id)


@queue.task
async def hog(ctx: Context[str], path: str) -> None:
    """The same, and it never gives the loop to anybody."""
    log("start", ctx.task_id, os.getpid())
    while not os.path.exists(path):
        log("runs", ctx.task_id, os.getpid())
        time.sleep(0.005)
    log("end", ctx.task_id)


@queue.task(run_in="process", timeout="60s")
def child(ctx: Context[str], path: str) -> None:
    log("start", ctx.task_id, os.getpid())
    while not os.path.exists(path):
        time.sleep(0.01)
    log("end", ctx.task_id)


@queue.task(run_in="process", timeout="100ms")
def child_with_timeout() -> None:
    time.sleep(60)


@queue.task(run_in="process", max_attempts=2)
def child_pill(ctx: Context[str], exit_code: int) -> None:
    """Its process ends by a signal when the code is below 0."""
    log("start", ctx.task_id, os.getpid())
    if exit_code < 0:
        os.kill(os.getpid(), -exit_code)
    os._exit(exit_code)


if os.environ.get("YARD_APP_VERSION") == "2":

    @queue.task
    async def newer(ctx: Context[str]) -> None:
        log("newer", ctx.task_id)


if pause := os.environ.get("YARD_IMPORT_TAKES"):
    log("importing", os.getpid())
    time.sleep(float(pause))
    log("imported", os.getpid())
