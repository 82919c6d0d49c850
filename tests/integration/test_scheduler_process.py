"""`ferryman scheduler` and `ferryman recover` as processes of their own, on a real server, with no worker anywhere."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from ferryman_bench import AgingClock, Bench
from ferryman_yard.programs import Start

from ferryman.link import Link

#: Between two looks at what the scheduler has done.
LOOK_S = 0.02
#: What a scheduler that is in time takes for itself, in a round and on its way to Redis.
SLACK_S = 0.4


@pytest.fixture
def start(start: Start) -> Start:
    """What they say is for the test to read."""
    return partial(start, stdout=PIPE, stderr=STDOUT, FERRYMAN_LOG_FORMAT="json")


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Asks again and again: nothing tells a test what another process has done.

    It counts its own looks, and no clock: when the machine lets neither this process nor the scheduler run, that is
    not the scheduler's time.
    """
    waited_s = 0.0
    while not await holds():
        assert waited_s < within_s, f"not within {within_s} s"
        await asyncio.sleep(LOOK_S)
        waited_s += LOOK_S


async def port_of(scheduler: Process) -> int:
    """The port that a scheduler says it listens on."""
    assert scheduler.stdout
    while line := await scheduler.stdout.readline():
        if port := json.loads(line).get("port"):
            return int(port)
    raise AssertionError("it did not start")


async def get(port: int, path: str) -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def test_a_delayed_task_of_a_new_queue_is_promoted_in_time(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    await port_of(await start("scheduler", "--redis", redis_url))
    await real_bench.run(real_bench.broker.announce())
    await real_bench.enqueue("t", delay_ms=1_500)
    due_ms = (await real_bench.stats()).next_due_ms
    assert due_ms

    async def due() -> bool:
        return (await real_bench.stats()).now_ms >= due_ms

    async def promoted() -> bool:
        return (await real_bench.stats()).waiting == 1

    await eventually(due, within_s=5)
    await eventually(promoted, within_s=0.3 + SLACK_S)
    task = await real_bench.run(real_bench.inspector.get("t"))
    assert task
    assert task.since_ms >= due_ms


async def test_a_silent_workers_tasks_come_back_within_five_seconds_of_its_deadline(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    await port_of(await start("scheduler", "--redis", redis_url, "--queue", "bench"))
    await real_bench.hold_active("w", "a", "b")
    await real_bench.write("ZADD", real_bench.keys.workers, (await real_bench.stats()).now_ms, "w")

    async def recovered() -> bool:
        return (await real_bench.stats()).recovered == 2

    await eventually(recovered, within_s=5 + SLACK_S)
    assert (await real_bench.snapshot())["waiting"] == ["a", "b"]


async def test_a_hinted_workers_tasks_come_back_within_five_seconds(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    await port_of(await start("scheduler", "--redis", redis_url, "--queue", "bench"))
    await real_bench.hold_active("w", "a")
    await real_bench.run(real_bench.workers.hint_gone("w", "OOMKilled"))

    async def recovered() -> bool:
        return (await real_bench.stats()).waiting == 1

    await eventually(recovered, within_s=5 + SLACK_S)


async def test_two_schedulers_and_a_recovery_job_at_once_recover_exactly_once(
    real_bench: Bench, redis_url: str, start: Start
) -> None:
    ids = [f"t{n:03}" for n in range(450)]
    await real_bench.hold_active("w", *ids)
    await real_bench.hold_active("w2", "alone")
    for worker in ("w", "w2"):
        await real_bench.write("ZADD", real_bench.keys.workers, (await real_bench.stats()).now_ms, worker)

    schedulers = [await start("scheduler", "--redis", redis_url, "--queue", "bench") for _ in range(2)]
    job = await start("recover", "bench", "--redis", redis_url, "--json")
    output, _ = await job.communicate()

    async def recovered() -> bool:
        return (await real_bench.stats()).recovered >= 451

    await eventually(recovered, within_s=10)
    for scheduler in schedulers:
        scheduler.send_signal(signal.SIGTERM)
        await scheduler.communicate()
    assert job.returncode == 0, output
    stats, seen = await real_bench.stats(), await real_bench.snapshot()
    assert (stats.recovered, stats.waiting, stats.active, stats.unaccounted) == (451, 451, 0, 0)
    assert sorted(seen["waiting"]) == sorted([*ids, "alone"])
    assert [id for id in seen["waiting"] if id != "alone"] == ids
    assert {seen[f"task:{id}"]["recoveries"] for id in (*ids, "alone")} == {"1"}
    assert seen["task:alone"]["crashes"] == "1"


async def test_health_metrics_and_a_clean_stop(real_bench: Bench, redis_url: str, start: Start) -> None:
    await real_bench.enqueue("t", delay_ms=1)
    scheduler = await start("scheduler", "--redis", redis_url, "--queue", "bench")
    port = await port_of(scheduler)

    async def promoted() -> bool:
        return 'ferryman_promoted_total{queue="bench"} 1.0' in (await get(port, "/metrics"))[1]

    await eventually(promoted, within_s=5)
    text = (await get(port, "/metrics"))[1]
    assert 'ferryman_redis_round_trip_seconds_count{component="scheduler"} 0.0' not in text
    assert 'ferryman_redis_round_trip_seconds_count{component="scheduler"} ' in text
    assert "_created" not in text
    assert (await get(port, "/livez"))[0] == 200
    assert (await get(port, "/readyz"))[0] == 200

    scheduler.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        output, _ = await scheduler.communicate()
    assert scheduler.returncode == 0
    assert json.loads(output.splitlines()[-1])["message"] == "stopped"


async def test_a_scheduler_outlives_its_redis(start_redis: Callable[..., Any], start: Start) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    link = Link.from_url(server.url)
    bench = Bench(link, AgingClock(link))
    await bench.enqueue("t", delay_ms=60_000)
    server.kill()
    scheduler = await start("scheduler", "--redis", server.url, "--queue", "bench")
    port = await port_of(scheduler)
    assert (await get(port, "/livez"))[0] == 200

    server.start()
    await bench.clock.advance(60_001)

    async def promoted() -> bool:
        return (await bench.stats()).waiting == 1

    await eventually(promoted, within_s=5 + SLACK_S)
    assert scheduler.returncode is None
    await link.close()


async def test_a_taken_port_is_said_plainly(redis_url: str, start: Start) -> None:
    port = await port_of(await start("scheduler", "--redis", redis_url, "--queue", "bench"))
    second = await start("scheduler", "--redis", redis_url, "--queue", "bench", FERRYMAN_PORT=str(port))
    output, _ = await second.communicate()

    assert second.returncode == 1
    assert b"FERRYMAN_PORT: the port is taken" in output


async def test_one_pass_gives_every_silent_worker_a_verdict(real_bench: Bench, redis_url: str, start: Start) -> None:
    await real_bench.hold_active("gone", "a", "b")
    await real_bench.hold_active("alive", "c")
    await real_bench.run(real_bench.workers.beat("alive", 600_000))  # not late: for those the pass waits
    await real_bench.write("ZADD", real_bench.keys.workers, (await real_bench.stats()).now_ms, "gone")
    await real_bench.enqueue("lost")
    await real_bench.hand()
    await real_bench.enqueue("due", delay_ms=1)

    job = await start("recover", "bench", "--redis", redis_url, "--json")
    output, _ = await job.communicate()

    assert job.returncode == 0
    summary = json.loads("\n".join(line for line in output.decode().splitlines() if '"logger"' not in line))
    assert {name: summary[name] for name in ("recovered", "handed", "promoted", "suspected")} == {
        "recovered": 2,
        "handed": 1,
        "promoted": 1,
        "suspected": 0,
    }
    seen = await real_bench.snapshot()
    assert sorted(seen["waiting"]) == ["a", "b", "due", "lost"]
    assert seen["active:alive"] == ["c"]


async def test_one_pass_prints_a_line_for_each_queue(redis_url: str, start: Start) -> None:
    job = await start("recover", "emails", "reports", "--redis", redis_url)
    output, _ = await job.communicate()

    assert job.returncode == 0
    nothing = "recovered 0 to waiting, 0 to dead, 0 lost hand-overs; promoted 0; trimmed 0 completed, 0 dead"
    assert output.decode().splitlines() == [f"emails  {nothing}", f"reports  {nothing}"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("recover", "q", "--redis", "redis://127.0.0.1:1/0"), 1, b"Redis unreachable at redis://127.0.0.1:1/0"),
        (("recover", "q", "--redis", "http://x"), 1, b"is no Redis URL"),
        (("scheduler", "--redis", "http://x"), 1, b"is no Redis URL"),
        (("recover",), 2, b"Missing argument"),
        (("scheduler", "--queue", "No Name"), 2, b"a-z"),
    ],
)
async def test_failures_say_what_to_do(start: Start, words: tuple[str, ...], code: int, message: bytes) -> None:
    process = await start(*words)
    output, _ = await process.communicate()

    assert process.returncode == code
    assert message in output
