"""An app in two versions, by YARD_APP_VERSION: the second takes other arguments for `move`, and knows `extra`."""

from __future__ import annotations

import asyncio
import os

from ferryman import Context, Queue
from ferryman_yard.app import log

_VERSION = os.environ["YARD_APP_VERSION"]

queue = Queue("bench")


if _VERSION == "1":

    @queue.task
    async def move(ctx: Context[None], number: int) -> None:
        log("move", _VERSION, ctx.task_id, ctx.attempt)

else:

    @queue.task(name="move")
    async def move_by_name(ctx: Context[None], target: str) -> None:
        log("move", _VERSION, ctx.task_id, ctx.attempt)

    @queue.task
    async def extra(ctx: Context[None]) -> None:
        log("extra", _VERSION, ctx.task_id, ctx.attempt)

    @queue.task
    async def wait(ctx: Context[None], path: str) -> None:
        log("start", ctx.task_id)
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
