"""What only a real server does: BLMOVE's wait, a full memory, a frozen process, a restart."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ferryman_bench import AgingClock, Bench

from ferryman.call import Call, command
from ferryman.errors import BrokerUnavailable, QueueFull
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.protocol import Completion, ExitReply
from ferryman.task import TaskState
from ferryman.workers import WorkerInfo


@pytest.fixture
async def full_bench(real_bench: Bench) -> AsyncIterator[Bench]:
    """Something to do for every script, and then a Redis without a byte to spare."""
    await real_bench.hold_active("w", "a", "b", "c", "d")
    await real_bench.hold_active("gone", "e", "f")
    await real_bench.bury("dead")
    await real_bench.enqueue("due", delay_ms=1)
    await real_bench.enqueue("waits", "handed-over")
    await real_bench.write("ZADD", real_bench.keys.workers, 0, "gone")
    await real_bench.clock.advance(10)
    await real_bench.write("CONFIG", "SET", "maxmemory", 1)
    yield real_bench
    await real_bench.write("CONFIG", "SET", "maxmemory", 0)


async def test_a_full_redis_tells_producers_and_changes_nothing(full_bench: Bench) -> None:
    async with full_bench.changes() as changes:
        with pytest.raises(QueueFull, match="nothing was enqueued"):
            await full_bench.enqueue("new")
        with pytest.raises(QueueFull):
            await full_bench.run(full_bench.broker.revive())
    assert changes == {}


async def test_a_full_redis_does_not_kill_the_fleet_and_drains(full_bench: Bench) -> None:
    b = full_bench
    broker = b.broker
    assert (await b.run(b.workers.beat("w", 15_000))).registered
    assert (await b.run(broker.complete("w", [Completion("a", 1)]))).not_held == []
    assert await b.run(broker.retry("w", "b", 1, delay_ms=0)) is ExitReply.OK
    assert await b.run(broker.dead_letter("w", "c", 1, error="no")) is ExitReply.OK
    assert (await b.run(broker.requeue("w", [("d", 1)]))).not_held == []
    assert (await b.run(broker.promote())).count == 2
    await b.run(b.workers.register(WorkerInfo("late", "", "pod", 15_000, 1_000, 1, "app", "1"), Manifest("app", {})))
    assert len(await b.fetch("late", 5)) == 5
    assert (await b.run(broker.recover("gone"))).waiting == 2
    assert len((await b.run(broker.discard(TaskState.DEAD))).ids) == 2
    await b.run(b.policy.hold(True))
    assert (await b.stats()).unaccounted == 0


async def test_a_full_redis_refuses_blmove_so_a_worker_has_to_fetch_without_it(full_bench: Bench) -> None:
    move = command("BLMOVE", full_bench.keys.waiting, full_bench.keys.handed, "RIGHT", "LEFT", 1, read=bytes)
    with pytest.raises(QueueFull):
        await full_bench.run(move)

    assert [task.id for task in await full_bench.fetch("w")] == ["waits"]


async def test_an_idle_workers_blmove_wakes_for_every_kind_of_arrival(real_bench: Bench) -> None:
    """One blocking source is enough: plain, with a priority, promoted, requeued, recovered, revived."""
    b = real_bench
    blmove = command(
        "BLMOVE", b.keys.waiting, b.keys.handed, "RIGHT", "LEFT", 5, read=lambda entry: str(entry.decode())
    )

    async def arrives(act: Call[Any]) -> str:
        waiter = asyncio.create_task(b.run(blmove))
        while (await b.run(command("INFO", "clients", read=lambda info: info["blocked_clients"]))) == 0:
            await asyncio.sleep(0)
        await b.run(act)
        [task] = await b.fetch("w", 1, await waiter)
        await b.run(b.broker.dead_letter("w", task.id, task.token, error="aside"))
        return task.id

    [held, ready] = await b.hold_active("w", "held", "ready")
    await b.run(b.broker.retry("w", "ready", ready.token, delay_ms=0))
    await b.register("gone", slot="s")
    await b.enqueue("orphan")
    await b.fetch("gone")
    await b.run(b.workers.declare_dead("gone", "its process ended"))

    assert await arrives(enqueue(b, "plain")) == "plain"
    assert await arrives(enqueue(b, "urgent", priority=1)) == "urgent"
    assert await arrives(b.broker.promote()) == "ready"
    assert await arrives(b.broker.requeue("w", [("held", held.token)])) == "held"
    assert await arrives(b.broker.recover("gone")) == "orphan"
    assert await arrives(b.broker.revive(["plain"])) == "plain"
    assert (await b.stats()).unaccounted == 0


def enqueue(bench: Bench, id: str, **fields: Any) -> Call[Any]:
    return bench.broker.enqueue([NewTask(id, "echo", b"{}", **fields)])


async def test_a_frozen_redis_declares_nobody_dead_when_it_wakes(start_redis: Callable[..., Any]) -> None:
    """The beats were on their way when it froze. The recoverer's looks are in the same queue, and ahead of them."""
    server = start_redis()
    link, recoverer = Link.from_url(server.url), Link.from_url(server.url)
    bench = Bench(link, AgingClock(link))
    await bench.register("w", timeout_ms=50, beat_ms=1_000)
    await bench.enqueue("t")
    await bench.fetch("w")
    await recoverer.run(bench.broker.recover("nobody"))

    os.kill(server.process.pid, signal.SIGSTOP)
    looks = asyncio.create_task(recoverer.run_all([bench.broker.recover("w")] * 20))
    await asyncio.sleep(0.2)  # the freeze itself: longer than the worker's timeout
    beat = asyncio.create_task(link.run(bench.workers.beat("w", 15_000)))
    await asyncio.sleep(0)
    os.kill(server.process.pid, signal.SIGCONT)

    assert {look.verdict for look in await looks} <= {"suspected", "alive"}
    assert (await beat).registered
    assert (await link.run(bench.broker.recover("w"))).verdict == "alive"
    await link.close()
    await recoverer.close()


async def test_a_link_works_again_after_a_restart_with_nothing_lost(start_redis: Callable[..., Any]) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    link = Link.from_url(server.url)
    bench = Bench(link, AgingClock(link))
    await bench.hold_active("w", "a")
    await bench.enqueue("b")
    before = await bench.snapshot()

    server.kill()
    with pytest.raises(BrokerUnavailable):
        await bench.stats()
    server.start()

    assert await bench.snapshot() == before
    [stats, _] = await link.run_all([bench.inspector.stats(), bench.broker.promote()])
    assert (stats.waiting, stats.active, stats.unaccounted) == (1, 1, 0)
    await link.close()


async def test_no_script_works_on_more_than_its_limit(real_bench: Bench) -> None:
    """With thousands of tasks everywhere, one call runs a number of commands that depends on its limit alone."""
    b = real_bench
    await b.register("w", "gone")
    await b.enqueue(*(f"o-{n}" for n in range(4_000)))
    await b.fetch("gone", 4_000)
    await b.enqueue(*(f"d-{n}" for n in range(4_000)), delay_ms=1)
    await b.enqueue(*(f"p-{n}" for n in range(4_000)), priority=1)
    await b.enqueue(*(f"w-{n}" for n in range(4_000)))
    await b.write("ZADD", b.keys.workers, 0, "gone")

    async def commands_of(call: Call[Any]) -> int:
        await b.write("CONFIG", "RESETSTAT")
        await b.run(call)
        stats = await b.run(command("INFO", "commandstats", read=dict))
        return sum(row["calls"] for name, row in stats.items() if not name.startswith("cmdstat_config"))

    assert await commands_of(b.broker.fetch("w", 100)) < 100 * 4 + 20
    assert await commands_of(b.broker.promote()) < 500 * 5 + 20
    assert await commands_of(b.broker.recover("gone")) < 200 * 8 + 30
    assert await commands_of(b.broker.cancel("w-2000")) < 20
    assert await commands_of(b.broker.discard(TaskState.WAITING)) < 200 * 4 + 20
    assert await commands_of(b.inspector.stats()) < 60
    assert await commands_of(b.broker.trim()) < 20
    assert (await b.stats()).unaccounted == 0
