"""The app of workers whose tasks have results, tell their progress, and are cancelled: one handler of each kind."""

from __future__ import annotations

import asyncio
import os
import time

from ferryman import Context, Queue
from ferryman_yard.app import log, queue

__all__ = ["queue"]


def _on(queue: Queue) -> None:
    @queue.task(keep_result="1h")
    async def add(a: int, b: int) -> int:
        return a + b

    @queue.task(keep_result="1h")
    def add_in_thread(a: int, b: int) -> int:
        return a + b

    @queue.task(keep_result="1h", run_in="process")
    def add_in_process(a: int, b: int) -> int:
        return a + b

    @queue.task(keep_result="1h", run_in="process")
    def large_in_process(size: int) -> str:
        return "x" * size

    @queue.task(keep_result="1h")
    async def large(size: int) -> str:
        return "x" * size

    @queue.task(keep_result="1h")
    async def strange() -> object:
        return object()

    @queue.task(keep_result="1h", max_attempts=1)
    async def boom() -> None:
        raise RuntimeError("boom")

    @queue.task(keep_result="1h")
    async def after(ctx: Context[str], path: str) -> str:
        log("start", ctx.task_id, os.getpid())
        try:
            while not os.path.exists(path):
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            log("cancelled", ctx.task_id)
            await asyncio.sleep(0.05)
            log("cleaned", ctx.task_id)
            raise
        log("end", ctx.task_id)
        return "done"

    @queue.task(max_attempts=9)
    async def stubborn(ctx: Context[str], path: str) -> None:
        """Does what it can to go on: swallows its cancellation, and fails when it is stopped again."""
        log("start", ctx.task_id, os.getpid())
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            log("swallowed", ctx.task_id)
        await asyncio.sleep(600)

    @queue.task(run_in="process", max_attempts=9)
    def hangs_in_c(ctx: Context[str]) -> None:
        log("start", ctx.task_id, os.getpid())
        time.sleep(600)

    @queue.task
    async def steps(ctx: Context[str], path: str) -> None:
        for n in range(100_000):
            ctx.progress(n, 100_000, "quick")
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
        ctx.progress(100_000, 100_000, "all")

    @queue.task
    def steps_in_thread(ctx: Context[str], path: str) -> None:
        _tell_until(ctx, path)

    @queue.task(run_in="process")
    def steps_in_process(ctx: Context[str], path: str) -> None:
        _tell_until(ctx, path)


def _tell_until(ctx: Context[str], path: str) -> None:
    n = 0
    while not os.path.exists(path):
        n += 1
        ctx.progress(n, note="so far")
        time.sleep(0.001)
    ctx.progress(n + 1_000_000, note="all")


_on(queue)
