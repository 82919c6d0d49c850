"""Queues: the `ferryman.Queue` behind each queue name of a backend, one in a process.

Django makes a backend object for every thread and every context; what they share is here.
"""

from __future__ import annotations

from typing import Final

from ferryman.django.connections import FreshConnections
from ferryman.django.signals import FinishedSignal
from ferryman.queue import Queue

_queues: Final[dict[tuple[str, str | None], Queue]] = {}


def queue_for(name: str, redis_url: str | None) -> Queue:
    """Raises ferryman.InvalidTask for a name that no queue can have."""
    found = _queues.get((name, redis_url))
    if found is None:
        made = Queue(name, redis_url=redis_url, middlewares=[FreshConnections(), FinishedSignal()])
        found = _queues.setdefault((name, redis_url), made)
    return found
