"""Tasks of a queue that nobody runs."""

from __future__ import annotations

import itertools

from ferryman.broker import Broker
from ferryman.link import SyncLink
from ferryman.new_task import NewTask

#: As many as a script takes at once.
BATCH = 250

_numbers = itertools.count()


def post(redis_url: str, queue: str, count: int) -> None:
    """Enqueue `count` tasks."""
    link = SyncLink.from_url(redis_url)
    tasks = [NewTask(f"task-{next(_numbers)}", "task", b"{}") for _ in range(count)]
    link.run_all([Broker(queue).enqueue(tasks[at : at + BATCH]) for at in range(0, count, BATCH)])
    link.close()
