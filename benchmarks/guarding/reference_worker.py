"""`reference_worker.py URL QUEUE`: the least that a worker with our scripts must do, to compare the real one with.

It fetches 100, runs them, completes them and fetches more in one round trip; no beats, metrics, timeouts, retries or
look-ahead. It ends when the queue is empty, and prints the seconds of processor time that it used per task.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Final

import msgspec

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.protocol import Completion
from ferryman.workers import WorkerInfo, WorkerRegistry

BATCH: Final = 100


async def noop(value: dict[str, object]) -> None:
    """Nothing."""


async def drain(url: str, queue: str) -> float:
    """Processor seconds per task."""
    link, broker, worker = Link.from_url(url), Broker(queue), "reference"
    info = WorkerInfo(worker, "", "reference", 600_000, 1_000, BATCH, "app", "1")
    await link.run(WorkerRegistry(queue).register(info, Manifest("app", {})))
    decode = msgspec.json.Decoder(dict[str, object]).decode
    tasks = (await link.run(broker.fetch(worker, BATCH))).tasks
    started_s, done = time.process_time(), 0
    while tasks:
        for task in tasks:
            await noop(**decode(task.args))  # type: ignore[arg-type]
        ended = broker.complete(worker, [Completion(task.id, task.token) for task in tasks])
        done += len(tasks)
        _, fetched = await link.run_all([ended, broker.fetch(worker, BATCH)])
        tasks = fetched.tasks
    used_s = time.process_time() - started_s
    await link.run(WorkerRegistry(queue).unregister(worker))
    await link.close()
    return used_s / done


if __name__ == "__main__":
    print(asyncio.run(drain(sys.argv[1], sys.argv[2])))
