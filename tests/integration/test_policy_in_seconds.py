"""A changed policy counts within five seconds for whoever runs already: schedulers and producers, as workers do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from subprocess import DEVNULL

import pytest
from ferryman_bench import Bench
from ferryman_yard.programs import Start

from ferryman import Queue
from ferryman.call import command
from ferryman.policy import QueuePolicy
from ferryman.protocol import Completion
from ferryman.task import TaskState

#: What the operator promises, from the moment when Redis has the policy.
PROMISED_S = 5.0

_LOOK_S = 0.02


@pytest.fixture
def start(start: Start) -> Start:
    """What they say is of no interest."""
    return partial(start, stdout=DEVNULL, stderr=DEVNULL)


async def seconds_until(holds: Callable[[], Awaitable[bool]]) -> float:
    """How long it takes until something holds; fails when that is longer than promised.

    It counts its own looks, and no clock: when the machine lets nobody run, that is not the scheduler's time.
    """
    began_s, waited_s = time.monotonic(), 0.0
    while not await holds():
        assert waited_s < PROMISED_S
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S
    return time.monotonic() - began_s


async def test_a_scheduler_that_runs_follows_a_shorter_retention(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    await start("scheduler", "--redis", redis_url, "--queue", "bench")
    await real_bench.enqueue("due", delay_ms=1)

    async def is_at_work() -> bool:
        return (await real_bench.stats()).waiting == 1

    async with asyncio.timeout(30):
        while not await is_at_work():
            await asyncio.sleep(0.02)
    done = [Completion(one.id, one.token) for one in await real_bench.hold_active("w", "a", "b")]
    await real_bench.run(real_bench.broker.complete("w", done))
    await real_bench.bury("c")
    await real_bench.run(QueuePolicy("bench").write({"completed_ms": 1, "dead_ms": 1}, generation=2))

    async def is_forgotten() -> bool:
        keys = real_bench.keys
        return not await real_bench.run(command("EXISTS", keys.completed, keys.dead, read=int))

    print(f"a scheduler followed after {await seconds_until(is_forgotten):.1f} s")


async def test_a_scheduler_that_runs_follows_a_smaller_crash_budget(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    await start("scheduler", "--redis", redis_url, "--queue", "bench")
    await real_bench.hold_active("w", "a")
    await real_bench.run(QueuePolicy("bench").write({"crashes_max": 1}, generation=2))
    await real_bench.run(real_bench.workers.declare_dead("w", "Error, exit code 137"))

    async def is_dead() -> bool:
        task = await real_bench.run(real_bench.inspector.get("a"))
        return task is not None and task.state is TaskState.DEAD

    async with asyncio.timeout(30):  # it may still be starting
        while not await is_dead():
            await asyncio.sleep(0.02)


async def test_a_producer_that_runs_follows_with_its_next_task(real_bench: Bench, redis_url: str) -> None:
    """Producers keep no policy: each enqueue reads it in Redis."""
    queue = Queue("bench", redis_url=redis_url)

    @queue.task
    async def echo(value: str) -> None: ...

    await echo.enqueue("before")
    assert (await real_bench.stats()).waiting == 1
    await real_bench.run(QueuePolicy("bench").write({"rate_count": 1, "rate_ms": 3_600_000}, generation=2))
    await echo.enqueue("after")
    await echo.enqueue("after")
    stats = await real_bench.stats()
    assert (stats.waiting, stats.blocked) == (2, 1), "one start an hour: the second waits for its turn"
