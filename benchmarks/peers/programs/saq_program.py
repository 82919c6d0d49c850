"""SAQ: the worker's settings, and the producer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import uvloop
from peers.programs import marks
from saq import Queue

asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
queue = Queue.from_url(marks.URL)


def _handler(kind: str) -> tuple[str, Callable[..., Any]]:
    async def run(context: object, *, value: Any) -> None:
        await marks.ASYNC[kind](value)

    return kind, run


settings = {
    "queue": queue,
    "functions": [_handler(kind) for kind in marks.KINDS],
    "concurrency": marks.CONCURRENCY,
}


async def one(kind: str, value: marks.Argument) -> None:
    """Enqueues."""
    await queue.enqueue(kind, value=value, ttl=-1)


if __name__ == "__main__":
    marks.produce(one, opened=queue.connect)
