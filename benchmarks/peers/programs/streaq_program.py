"""streaq: the worker, and the producer."""

from __future__ import annotations

from collections.abc import Sequence

from peers.programs import marks
from streaq import Worker

worker = Worker(redis_url=marks.URL, concurrency=marks.CONCURRENCY, anyio_kwargs={"use_uvloop": True})
TASKS = {kind: worker.task(name=kind, silent=True, ttl=0)(run) for kind, run in marks.ASYNC.items()}


async def one(kind: str, value: marks.Argument) -> None:
    """Enqueues."""
    await TASKS[kind].enqueue(value)


async def many(kind: str, values: Sequence[marks.Argument]) -> None:
    """Enqueues in one call."""
    await worker.enqueue_many([TASKS[kind].enqueue(value) for value in values])


async def opened() -> None:
    """Connects."""
    await worker.__aenter__()


async def closed() -> None:
    """Disconnects."""
    await worker.__aexit__(None, None, None)


if __name__ == "__main__":
    marks.produce(one, many, opened, closed)
