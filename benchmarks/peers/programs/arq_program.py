"""arq: the worker's settings, and the producer."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from arq import create_pool, func
from arq.connections import RedisSettings
from peers.programs import marks

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
WHERE = RedisSettings(port=marks.PORT)


def _handler(kind: str) -> Any:
    async def run(context: object, value: Any) -> None:
        await marks.ASYNC[kind](value)

    return func(run, name=kind, keep_result=0)


class WorkerSettings:
    """What `arq` asks for."""

    functions = tuple(_handler(kind) for kind in marks.KINDS)
    redis_settings = WHERE
    max_jobs = marks.CONCURRENCY
    poll_delay = 0.01  # its default of 0.5 s would be all that one measures


_pool: list[Any] = []


async def opened() -> None:
    """Connects."""
    _pool.append(await create_pool(WHERE))


async def one(kind: str, value: marks.Argument) -> None:
    """Enqueues."""
    await _pool[0].enqueue_job(kind, value)


if __name__ == "__main__":
    marks.produce(one, opened=opened)
