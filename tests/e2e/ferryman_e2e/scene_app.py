"""The app of the scenes' workers: mounted into the demo worker image as /scene/scene_app.py.

Its tasks write what really happened into a list in Redis, the journal. So the scenes can tell a run that was
begun twice from one that was only handed over twice, without trusting the figures that they check.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ferryman import Context, Queue
from ferryman.call import command
from ferryman.link import Link


@dataclass(frozen=True, slots=True)
class Journal:
    """Appends to the list `e2e:journal:<queue>`."""

    link: Link
    key: str

    async def write(self, event: str, task_id: str) -> None:
        """Returns when Redis has it."""
        entry = {"event": event, "id": task_id, "pod": os.environ["HOSTNAME"], "at_s": time.time()}
        await self.link.run(command("RPUSH", self.key, json.dumps(entry), read=int))


@asynccontextmanager
async def lifespan() -> AsyncIterator[Journal]:
    """One connection for all tasks of a worker."""
    link = Link.from_url(os.environ["SCENE_REDIS_URL"])
    try:
        yield Journal(link, "e2e:journal:" + os.environ["SCENE_QUEUE"])
    finally:
        await link.close()


scene = Queue(os.environ["SCENE_QUEUE"], lifespan=lifespan)


@scene.task()
async def work(ctx: Context[Journal], seconds: float) -> None:
    """Takes so long, and writes begin and end into the journal."""
    await ctx.deps.write("begin", ctx.task_id)
    await asyncio.sleep(seconds)
    await ctx.deps.write("end", ctx.task_id)


@scene.task(max_attempts=2)
async def fail(ctx: Context[Journal], message: str) -> None:
    """Raises, every time."""
    raise RuntimeError(message)


@scene.task()
async def crash(ctx: Context[Journal]) -> None:
    """Ends the worker's process without any farewell. From inside, the first process of a container can't be killed."""
    await ctx.deps.write("begin", ctx.task_id)
    os._exit(137)


@scene.task()
async def crash_once(ctx: Context[Journal]) -> None:
    """The same at its first delivery, and nothing at its next; the quickstart has this task, too."""
    if ctx.deliveries == 1:
        os._exit(137)


@scene.task()
async def devour(ctx: Context[Journal]) -> None:
    """Takes memory until the kernel kills its worker; at its next delivery it takes none."""
    await ctx.deps.write("begin", ctx.task_id)
    hoard = []
    while ctx.deliveries == 1:
        hoard.append(b"\xff" * 10_000_000)
    await ctx.deps.write("end", ctx.task_id)


@scene.task()
async def stumble(ctx: Context[Journal]) -> None:
    """Raises, as often as the queue's policy lets it."""
    raise RuntimeError("as every time")


@scene.task()
async def echo(value: str) -> str:
    """Gives back what it got."""
    return value
