"""Storms: very many tasks due, or orphaned, at one instant; two schedulers and the CronJob's program at work on them.

Each task goes its way exactly once, in small steps between which everybody else's calls have their turn.
"""

from __future__ import annotations

import asyncio
import signal
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from ferryman_bench import AgingClock, Bench
from ferryman_scheduler.chore import BATCH
from ferryman_yard.programs import Start

from ferryman import scripts
from ferryman.call import command
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link

pytestmark = pytest.mark.alone  # fifty thousand tasks at once are a load for the whole machine


@pytest.fixture
def start(start: Start, redis_url: str) -> Start:
    """On the shared server; what they print is for the test to read."""
    return partial(start, stdout=PIPE, FERRYMAN_REDIS_URL=redis_url)


async def all_at_once(start: Start, *queues: str) -> None:
    """Two schedulers, and a pass of the CronJob; returns when the pass is over."""
    words = [word for queue in queues for word in ("--queue", queue)]
    schedulers = [await start("scheduler", *words) for _ in range(2)]
    job = await start("recover", *queues)
    output, _ = await job.communicate()
    assert job.returncode == 0, output
    assert [scheduler.returncode for scheduler in schedulers] == [None, None]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


async def front_first(bench: Bench) -> list[str]:
    """What waits, as a worker would get it."""
    found = await bench.run(command("LRANGE", bench.keys.waiting, 0, -1, read=list))
    return [id.decode() for id in reversed(found)]


async def fields(bench: Bench, ids: list[str], name: str) -> set[bytes | None]:
    """All values of one field of these tasks."""
    calls = [command("HGET", bench.keys.task + id, name, read=lambda value: value) for id in ids]
    return {value for at in range(0, len(calls), 2_000) for value in await bench.link.run_all(calls[at : at + 2_000])}


async def list_every_command(link: Link) -> None:
    """From now on the server lists all commands with their arguments, however fast they are."""
    await link.run(command("CONFIG", "SET", "slowlog-max-len", 200_000, read=bool))
    await link.run(command("CONFIG", "SET", "slowlog-log-slower-than", 0, read=bool))


async def limits_seen(link: Link, script: str) -> set[int]:
    """The limits that calls of `script` had; for all scripts the limit is the last argument."""
    await link.run(command("CONFIG", "SET", "slowlog-log-slower-than", -1, read=bool))
    listed = await link.run(command("SLOWLOG", "GET", 200_000, read=list))
    sha = scripts.load(script, True).sha.encode()
    return {int(words[-1]) for _, _, _, words, *_ in listed if words[:2] == [b"EVALSHA", sha]}


async def test_a_promotion_storm_moves_each_task_once_in_small_steps(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    ids = [f"t{n:05}" for n in range(50_000)]
    for at in range(0, len(ids), 1_000):
        await real_bench.enqueue(*ids[at : at + 1_000], delay_ms=60_000)
    other = Bench(real_bench.link, AgingClock(real_bench.link, "other"), "other")
    await other.enqueue("not-behind-the-storm", delay_ms=60_000)
    await other.hold_active("gone", "orphan")
    await other.write("ZADD", other.keys.workers, 0, "gone")
    due_ms = (await other.stats()).now_ms
    for bench in (real_bench, other):
        await bench.write("ZUNIONSTORE", bench.keys.delayed, 1, bench.keys.delayed, "WEIGHTS", 0)
    await list_every_command(real_bench.link)

    job = asyncio.create_task(all_at_once(start, "bench", "other"))

    async def promoted() -> bool:
        await real_bench.write("SCRIPT", "FLUSH")  # a restart in the middle of it
        return (await real_bench.stats()).delayed == 0

    await until(promoted)
    await job
    stats = await real_bench.stats()
    assert (stats.waiting, stats.enqueued, stats.unaccounted) == (50_000, 50_000, 0)
    assert await front_first(real_bench) == ids, "each once, in the order in which they were due"
    assert await fields(real_bench, ids, "state") == {b"waiting"}
    assert max(await limits_seen(real_bench.link, "promote")) <= BATCH

    last = await real_bench.run(real_bench.inspector.get(ids[-1]))
    neighbours = [await other.run(other.inspector.get(id)) for id in ("not-behind-the-storm", "orphan")]
    assert last
    assert all(one and due_ms <= one.since_ms < last.since_ms for one in neighbours), (
        "other queues waited for the storm"
    )


async def test_a_recovery_storm_takes_each_task_back_once_in_small_steps(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    """200 workers fall silent with 50 tasks each; in none of them is the order of the tasks disturbed."""
    workers = {f"w{w:03}": [f"w{w:03}-{n:02}" for n in range(50)] for w in range(200)}
    now_ms = (await real_bench.stats()).now_ms
    for worker, ids in workers.items():
        await real_bench.hold_active(worker, *ids)
        await real_bench.write("ZADD", real_bench.keys.workers, now_ms, worker)
    await list_every_command(real_bench.link)

    await all_at_once(start, "bench")

    async def recovered() -> bool:
        return (await real_bench.stats()).active == 0

    await until(recovered)
    stats, waiting = await real_bench.stats(), await front_first(real_bench)
    assert (stats.recovered, stats.waiting, stats.dead, stats.workers, stats.unaccounted) == (10_000, 10_000, 0, 0, 0)
    for worker, ids in workers.items():
        assert [id for id in waiting if id.startswith(worker)] == ids
    assert await fields(real_bench, waiting, "recoveries") == {b"1"}
    assert max(await limits_seen(real_bench.link, "recover")) <= BATCH


async def test_a_scheduler_and_a_producer_go_on_when_a_restarted_redis_has_no_scripts(
    start_redis: Callable[..., Any], start: Start
) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    producer = Link.from_url(server.url)
    bench = Bench(producer, AgingClock(producer))
    scheduler = await start("scheduler", "--redis", server.url, "--queue", "bench")

    async def promoted() -> bool:
        return (await bench.stats()).delayed == 0

    for round_number in range(2):
        await bench.enqueue(f"t{round_number}", delay_ms=1)
        await until(promoted)
        server.kill()
        with pytest.raises(BrokerUnavailable):
            await bench.stats()
        server.start()
        assert await producer.run(command("SCRIPT", "EXISTS", scripts.load("promote", True).sha, read=list)) == [0]
    await bench.enqueue("last", delay_ms=1)
    await until(promoted)

    assert (await bench.snapshot())["waiting"] == ["t0", "t1", "last"]
    scheduler.send_signal(signal.SIGTERM)
    await scheduler.communicate()
    assert scheduler.returncode == 0
    await producer.close()
