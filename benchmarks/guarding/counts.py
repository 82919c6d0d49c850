"""Counts that don't depend on the machine: commands and bytes in Redis per task, and calls in Python per enqueue."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.call import Call, command
from ferryman.link import SyncLink
from ferryman.manifest import Manifest
from ferryman.protocol import Completion
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH: Final = 100
BATCHES: Final = 20
QUEUE: Final = "counts"
_WORKER: Final = WorkerInfo("w", "", "pod", 60_000, 1_000, BATCH, "app", "1")
#: The payload that every peer of `make bench` is given.
PAYLOAD: Final = {"id": 1, "email": "someone@example.org", "template": "welcome", "lang": "en_GB", "tags": ["a", "b"]}


class Counts(msgspec.Struct, frozen=True):
    """Per task, when tasks go in batches of 100; but `enqueue_alone_commands`, and the calls, for one alone."""

    enqueue_commands: float
    enqueue_alone_commands: float
    fetch_commands: float
    complete_commands: float
    waiting_bytes: float
    enqueue_sync_calls: float  # of Python functions, its own and those written in C
    enqueue_awaited_calls: float  # on asyncio's own loop, with the turns of it
    enqueue_many_calls: float


def counted(link: SyncLink, url: str) -> Counts:
    """Count on an empty server; it is flushed first."""
    queue = Queue(QUEUE, redis_url=url)

    @queue.task
    async def noop(value: dict[str, Any]) -> None:
        """Nothing."""

    broker, tasks = Broker(QUEUE), BATCH * BATCHES
    link.run(command("FLUSHALL", read=bool))
    link.run(WorkerRegistry(QUEUE).register(_WORKER, Manifest("app", {})))
    # The first of each kind is another: a script is loaded, a connection opened, the queue announced.
    noop.enqueue_sync(PAYLOAD)
    _work_off(link, broker, 1)

    alone = _commands(link, lambda: [noop.enqueue_sync(PAYLOAD) for _ in range(BATCH)]) / BATCH
    _work_off(link, broker, BATCH)
    used = _used_bytes(link)
    many = _commands(link, lambda: _enqueue_batches(link, broker, noop))
    waiting = (_used_bytes(link) - used) / tasks
    fetched: list[Any] = []

    def fetch() -> None:
        for _ in range(BATCHES):
            fetched.append(link.run(broker.fetch(_WORKER.id, BATCH)).tasks)

    def complete() -> None:
        for batch in fetched:
            link.run(broker.complete(_WORKER.id, [Completion(task.id, task.token) for task in batch]))

    fetches, completes = _commands(link, fetch), _commands(link, complete)
    return Counts(
        enqueue_commands=many / tasks,
        enqueue_alone_commands=alone,
        fetch_commands=fetches / tasks,
        complete_commands=completes / tasks,
        waiting_bytes=waiting,
        enqueue_sync_calls=_calls(lambda: noop.enqueue_sync(PAYLOAD)),
        enqueue_awaited_calls=asyncio.run(_awaited_calls(noop)),
        enqueue_many_calls=_calls(lambda: queue.enqueue_many_sync([noop.task(PAYLOAD) for _ in range(BATCH)])) / BATCH,
    )


def _enqueue_batches(link: SyncLink, broker: Broker, noop: Any) -> None:
    for _ in range(BATCHES):
        link.run(broker.enqueue([noop.task(PAYLOAD).task for _ in range(BATCH)]))


def _work_off(link: SyncLink, broker: Broker, count: int) -> None:
    fetched = link.run(broker.fetch(_WORKER.id, count)).tasks
    link.run(broker.complete(_WORKER.id, [Completion(task.id, task.token) for task in fetched]))


def _commands(link: SyncLink, work: Callable[[], object]) -> int:
    """How many commands Redis runs for it, those in scripts too."""
    link.run(command("CONFIG", "RESETSTAT", read=bool))
    work()
    stats = link.run(command("INFO", "commandstats", read=dict))
    counted = (int(stat["calls"]) for name, stat in stats.items() if name not in _NOT_COUNTED)
    return sum(counted)


_NOT_COUNTED: Final = frozenset({"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_script|load"})


def _used_bytes(link: SyncLink) -> int:
    read: Call[dict[str, Any]] = command("INFO", "memory", read=dict)
    return int(link.run(read)["used_memory_dataset"])


def _calls(work: Callable[[], object]) -> int:
    """Calls of functions while it runs, once it has run before."""
    work()
    seen, note = _counter()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return len(seen)


async def _awaited_calls(noop: Any) -> int:
    for _ in range(2):  # the first one opens a connection
        await noop.enqueue(PAYLOAD)
    seen, note = _counter()
    sys.setprofile(note)
    try:
        await noop.enqueue(PAYLOAD)
    finally:
        sys.setprofile(None)
    return len(seen)


def _counter() -> tuple[list[str], Callable[[object, str, object], None]]:
    seen: list[str] = []

    def note(_frame: object, event: str, _argument: object) -> None:
        if event in ("call", "c_call"):
            seen.append(event)

    return seen, note
