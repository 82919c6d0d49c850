"""Results and progress of what real workers run: pushed to whoever waits, also over a restart of Redis."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ferryman_yard.process import RESULTS_APP
from ferryman_yard.yard import Yard, yard_on

from ferryman import Queue, ResultNotKept, ResultTimeout, TaskCancelled, TaskExpired, TaskFailed
from ferryman.call import command

APP = {"YARD_APP": str(RESULTS_APP)}


def queue_of(yard: Yard) -> Queue:
    return Queue("bench", redis_url=yard.redis_url)


@pytest.mark.parametrize("name", ["add", "add_in_thread", "add_in_process"])
async def test_a_result_of_each_kind_of_handler(yard: Yard, name: str) -> None:
    await yard.worker(**APP)
    sent = await queue_of(yard).enqueue(name, {"a": 2, "b": 3})
    assert await sent.result(timeout="30s") == 5
    assert (await yard.task(sent.id)).result == b"5"


async def test_many_waiters_share_a_connection_and_each_gets_its_own(yard: Yard) -> None:
    queue = queue_of(yard)
    sent = [await queue.enqueue("add", {"a": n, "b": 1}) for n in range(200)]
    waiting = [asyncio.create_task(one.result(timeout="60s")) for one in sent for _ in range(2)]

    async def blocked() -> int:
        info = await yard.bench.run(command("INFO", "clients", read=lambda reply: reply))
        return int(info["blocked_clients"])

    await yard.until(lambda: _is(blocked, 1))
    await yard.worker(**APP)

    assert await asyncio.gather(*waiting) == [n + 1 for n in range(200) for _ in range(2)]


async def _is(ask: Callable[[], Any], wanted: int) -> bool:
    return bool(await ask() == wanted)


async def test_a_blocking_wait_in_a_thread(yard: Yard) -> None:
    sent = await queue_of(yard).enqueue("add", {"a": 2, "b": 3})
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(sent.result_sync(timeout="60s")))
    thread.start()
    await yard.worker(**APP)
    await asyncio.to_thread(thread.join)
    assert found == [5]


async def test_what_stands_in_the_way_of_a_result(yard: Yard) -> None:
    queue = queue_of(yard)
    expired = await queue.enqueue("add", {"a": 1, "b": 1}, expires="1ms", keep_result="1h")
    await asyncio.sleep(0.01)
    worker = await yard.worker(**APP, FERRYMAN_WORKER_TIMEOUT="15s")

    with pytest.raises(TaskExpired):
        await expired.result(timeout="30s")
    with pytest.raises(TaskFailed, match="RuntimeError: boom"):
        await (await queue.enqueue("boom")).result(timeout="30s")
    for name in ("large", "large_in_process"):
        with pytest.raises(ResultNotKept, match="the limit is 1048576: store the data elsewhere"):
            await (await queue.enqueue(name, {"size": 2_000_000})).result(timeout="30s")
    with pytest.raises(ResultNotKept, match="has no form in JSON"):
        await (await queue.enqueue("strange")).result(timeout="30s")
    assert worker.said().count("has completed, but") == 3

    running = await queue.enqueue("after", {"path": str(yard.gate)})
    with pytest.raises(ResultTimeout):
        await running.result(timeout="100ms")
    with pytest.raises(ResultTimeout):
        await asyncio.to_thread(running.result_sync, timeout="100ms")
    await yard.until(lambda: yard.lines("start"))
    await running.cancel()
    with pytest.raises(TaskCancelled):
        await running.result(timeout="30s")
    stats = await yard.bench.stats()
    assert (stats.expired, stats.cancelled, stats.discarded, stats.unaccounted) == (1, 1, 2, 0)


async def test_waiters_outlast_a_restart_of_redis(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    server = start_redis("--appendonly", "yes")
    async with yard_on(server.url, tmp_path) as yard:
        sent = await queue_of(yard).enqueue("after", {"path": str(yard.gate)})
        waiting = asyncio.create_task(sent.result(timeout="60s"))
        in_thread = asyncio.create_task(asyncio.to_thread(sent.result_sync, timeout="60s"))
        await yard.worker(**APP)
        await yard.until(lambda: yard.lines("start"))

        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        yard.gate.touch()

        assert await waiting == "done"
        assert await in_thread == "done"


async def test_a_result_is_pushed_and_not_polled(yard: Yard) -> None:
    await yard.worker(**APP)
    sent = await queue_of(yard).enqueue("after", {"path": str(yard.gate)})
    waiting = asyncio.create_task(sent.result(timeout="60s"))
    await yard.until(lambda: yard.lines("start"))

    async def looks() -> int:
        stats = await yard.bench.run(command("INFO", "commandstats", read=lambda reply: reply))
        return int(stats["cmdstat_get"]["calls"]) if "cmdstat_get" in stats else 0

    before = await looks()
    await asyncio.sleep(2)
    assert await looks() == before
    opened = time.monotonic()
    yard.gate.touch()
    await waiting
    assert time.monotonic() - opened < 5


@pytest.mark.parametrize("name", ["steps", "steps_in_thread", "steps_in_process"])
async def test_progress_is_seen_while_the_task_runs_and_its_last_word_after_it(yard: Yard, name: str) -> None:
    await yard.worker(**APP)
    await yard.enqueue_wait("t", name=name)

    async def told() -> bool:
        return bool((await yard.task("t")).progress)

    await yard.until(told)
    assert (await yard.task("t")).state == "active"
    yard.gate.touch()
    await yard.until_stats(completed=1)
    assert b'"note":"all"' in (await yard.task("t")).progress
