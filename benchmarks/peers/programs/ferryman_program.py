"""Ferryman: the handlers in the loop and in threads, and the producer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from peers.programs import marks

from ferryman import Queue

bench = Queue("bench", redis_url=marks.URL)


@bench.task
async def noop(value: dict[str, Any]) -> None:
    """In the loop."""
    await marks.anoop(value)


@bench.task
async def latency(value: float) -> None:
    """In the loop."""
    await marks.alatency(value)


@bench.task
async def sleep(value: int) -> None:
    """In the loop."""
    await marks.asleep(value)


@bench.task
async def crash(value: int) -> None:
    """In the loop."""
    await marks.acrash(value)


@bench.task
def noop_thread(value: dict[str, Any]) -> None:
    """In a thread."""
    marks.noop(value)


async def one(kind: str, value: marks.Argument) -> None:
    """Enqueues."""
    await bench.handlers[kind].enqueue(value)


async def many(kind: str, values: Sequence[marks.Argument]) -> None:
    """Enqueues in one call."""
    handler = bench.handlers[kind]
    await bench.enqueue_many(handler.task(value) for value in values)


if __name__ == "__main__":
    if sys.argv[4] == "sync":
        marks.produce(lambda kind, value: bench.handlers[kind].enqueue_sync(value))
    else:
        marks.produce(one, many)
