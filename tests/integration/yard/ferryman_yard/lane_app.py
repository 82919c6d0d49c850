"""The app of the workers whose lanes are tested: each run writes down when it began and ended, and in which lane."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from ferryman import Context, Queue

_LOG = os.open(os.environ["YARD_LOG"], os.O_APPEND | os.O_WRONLY | os.O_CREAT)

queue = Queue("bench")


def log(word: str, *words: object) -> None:
    """One line, by every process of this machine on the same clock."""
    os.write(_LOG, (" ".join(map(str, (time.monotonic_ns(), word, *words))) + "\n").encode())


@queue.task(lane="{tenant}")
async def stay(ctx: Context[None], tenant: str, ms: int) -> None:
    log("in", ctx.task_id, tenant, os.getpid())
    await asyncio.sleep(ms / 1_000)
    log("out", ctx.task_id, tenant)


@queue.task(lane="{tenant}")
async def wait(ctx: Context[None], tenant: str, path: str) -> None:
    log("in", ctx.task_id, tenant, os.getpid())
    while not Path(path).exists():
        await asyncio.sleep(0.01)
    log("out", ctx.task_id, tenant)
