"""Taskiq on a stream, its one broker for Redis that does not lose what a dead worker held; and the producer."""

from __future__ import annotations

from peers.programs import marks
from taskiq_redis import RedisStreamBroker

broker = RedisStreamBroker(marks.URL)
TASKS = {kind: broker.register_task(run, task_name=kind) for kind, run in marks.ASYNC.items()}


async def one(kind: str, value: marks.Argument) -> None:
    """Enqueues."""
    await TASKS[kind].kiq(value)


if __name__ == "__main__":
    marks.produce(one, opened=broker.startup, closed=broker.shutdown)
