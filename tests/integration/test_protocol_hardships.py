"""Real workers and a real scheduler under load while Redis freezes, runs full, or is told wrong things about them.

Nobody is declared dead who lives, and no task runs to its end twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from ferryman_yard.process import in_pod
from ferryman_yard.programs import Start
from ferryman_yard.yard import Yard, yard_on

from ferryman import Queue
from ferryman.call import command
from ferryman.errors import QueueFull
from ferryman.link import Link

pytestmark = pytest.mark.alone  # workers whose promise is a few seconds keep it only on a machine that lets them run

#: How long Redis is frozen, and the silence that a worker promises not to exceed: longer than any reply is waited for
#: (10 s), and four times the promise. FERRYMAN_FREEZE=60 runs it with the default promise of 15 s.
FREEZE_S = float(os.environ.get("FERRYMAN_FREEZE", "11"))
TIMEOUT = f"{FREEZE_S / 4:g}s"

#: The arguments of a task: none, and two kilobytes of JSON's white space.
PADDED = b"{" + b" " * 2_000 + b"}"


@pytest.fixture
def start(start: Start) -> Start:
    """What they complain of is for the test to read."""
    return partial(start, stderr=PIPE)


@asynccontextmanager
async def load(yard: Yard, seconds: float) -> AsyncIterator[list[str]]:
    """Tasks of that length come in all the time, more than the workers can run at once; yields their ids."""
    ids: list[str] = []

    async def produce() -> None:
        while True:
            stats = await yard.bench.stats()
            if stats.waiting < 20:
                fresh = [f"t{len(ids) + n}" for n in range(20)]
                ids.extend(fresh)
                await yard.enqueue(*fresh, name="nap", args=json.dumps({"seconds": seconds}))
            await asyncio.sleep(0.05)

    producing = asyncio.create_task(produce())
    try:
        yield ids
    finally:
        producing.cancel()
        await asyncio.gather(producing, return_exceptions=True)


async def until_all_ran(yard: Yard, ids: list[str]) -> None:
    """Returns when all have completed. None may have run to its end twice, or been taken from a living worker."""
    await yard.until_stats(patience_s=90, completed=len(ids), active=0, waiting=0)
    assert Counter(words[0] for words in yard.lines("end")) == Counter(ids)
    stats = await yard.bench.stats()
    assert (stats.dead, stats.unaccounted) == (0, 0)


async def frozen(yard: Yard, pid: int) -> set[str]:
    """Redis stands still for FREEZE_S. Before any beat, looks at every worker lie in its sockets; their verdicts."""
    workers = [row.id for row in await yard.bench.run(yard.bench.workers.list())]
    hasty = Link.from_url(yard.redis_url, reply_timeout_s=2 * FREEZE_S)
    await hasty.run(yard.bench.broker.recover("nobody"))
    os.kill(pid, signal.SIGSTOP)
    try:
        looks = asyncio.create_task(hasty.run_all([yard.bench.broker.recover(worker) for worker in workers] * 5))
        await asyncio.sleep(FREEZE_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    verdicts = {look.verdict for look in await looks}
    await hasty.close()
    return verdicts


async def test_a_redis_that_froze_for_several_timeouts_declares_nobody_dead_when_it_wakes(
    start_redis: Callable[..., Any], start: Start, tmp_path: Path
) -> None:
    server = start_redis()
    async with yard_on(server.url, tmp_path) as yard:
        scheduler = await start("scheduler", "--redis", server.url, "--queue", "bench")
        workers = [await yard.worker(FERRYMAN_WORKER_TIMEOUT=TIMEOUT, FERRYMAN_CONCURRENCY="5") for _ in range(2)]
        await yard.enqueue("cut-short", name="nap", args=json.dumps({"seconds": FREEZE_S / 2}))
        async with load(yard, seconds=0.3) as ids:
            await yard.until(lambda: len(yard.lines("end")) > 20)
            verdicts = await frozen(yard, server.process.pid)
            ended = len(yard.lines("end"))
            await yard.until(lambda: len(yard.lines("end")) > ended + 20)

        await until_all_ran(yard, [*ids, "cut-short"])
        assert verdicts <= {"suspected", "alive"}
        assert (await yard.bench.stats()).recovered == 0, "somebody was declared dead"
        assert all(worker.running for worker in workers)
        assert scheduler.returncode is None


async def test_wrong_and_late_hints_take_no_task_from_a_living_worker(yard: Yard, redis_url: str, start: Start) -> None:
    """Somebody insists for many beats that every container has ended: of one it was true once, long ago."""
    await start("scheduler", "--redis", redis_url, "--queue", "bench")
    replaced = await yard.worker(**in_pod("pod-0"))
    [late] = [row.id for row in await yard.bench.run(yard.bench.workers.list())]
    replaced.signal(signal.SIGTERM)
    assert await yard.exit_code(replaced) == 0
    # Beats are a second apart, as by default: a busy machine may be late with some of them.
    workers = [await yard.worker(**in_pod(pod), FERRYMAN_WORKER_TIMEOUT="15s") for pod in ("pod-0", "pod-1")]
    hinted = Counter[str]()

    async def insist() -> None:
        while True:
            for worker in (late, *(row.id for row in await yard.bench.run(yard.bench.workers.list()))):
                hinted[worker] += 1
                await yard.bench.run(yard.bench.workers.hint_gone(worker, "OOMKilled", exempt=hinted[worker] % 2 == 0))
            await asyncio.sleep(0.02)

    async with load(yard, seconds=0.1) as ids:
        insisting = asyncio.create_task(insist())
        await asyncio.sleep(5)  # looks and beats of five seconds, and one hint after the other
        insisting.cancel()
    await until_all_ran(yard, ids)
    assert (await yard.bench.stats()).recovered == 0, "a living worker was robbed"
    assert len(hinted) == 3
    assert all(worker.running and worker.said().count("serving queue") == 1 for worker in workers)


async def fill_up(yard: Yard) -> list[str]:
    """Gives Redis a megabyte more, enqueues until it is full, and takes some of it away; returns what was accepted."""
    used = await yard.bench.run(command("INFO", "memory", read=lambda info: int(info["used_memory"])))
    await yard.bench.write("CONFIG", "SET", "maxmemory", used + (1 << 20))
    accepted: list[str] = []
    while True:
        try:
            await yard.bench.enqueue(f"t{len(accepted)}", name="note", args=PADDED)
        except QueueFull:
            break
        accepted.append(f"t{len(accepted)}")
    await yard.bench.write("CONFIG", "SET", "maxmemory", used + (3 << 18))
    return accepted


async def test_a_full_redis_is_told_to_every_kind_of_producer_and_drains(
    start_redis: Callable[..., Any], start: Start, tmp_path: Path
) -> None:
    server = start_redis("--maxmemory-policy", "noeviction")
    async with yard_on(server.url, tmp_path) as yard:
        await start("scheduler", "--redis", server.url, "--queue", "bench")
        port = free_port()
        await start("api", "--port", str(port), "--redis", server.url)
        before = await yard.worker(FERRYMAN_WORKER_TIMEOUT="15s", FERRYMAN_CONCURRENCY="2")
        gone = await yard.worker(FERRYMAN_WORKER_TIMEOUT="2s", FERRYMAN_CONCURRENCY="2")
        await yard.enqueue_wait("held-1", "held-2", "held-3", "held-4")
        await yard.until(lambda: len(yard.lines("start")) == 4)
        await yard.bench.enqueue("due", name="note", delay_ms=1_500)
        queue = Queue("bench", redis_url=server.url)
        accepted = await fill_up(yard)

        # What a user sees.
        with pytest.raises(QueueFull, match="at its maxmemory: nothing was enqueued"):
            await queue.enqueue("note", {})
        cli = await start("enqueue", "bench", "note", "--redis", server.url)
        assert cli.stderr
        assert b"maxmemory: nothing was enqueued; let workers drain it, or give it memory" in await cli.stderr.read()
        assert await cli.wait() == 1
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            body = {"queue": "bench", "task": "note", "args": {}}
            answer = await until_it_serves(http, body)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
            assert answer.json()["type"] == "urn:ferryman:problem:redis-full"

            # Beats, recovery, promotion and a worker that joins go on.
            gone.signal(signal.SIGKILL, group=True)
            await yard.until_stats(recovered=2)
            [beating] = [row for row in await yard.bench.run(yard.bench.workers.list()) if row.deadline_ms]
            assert beating.active == 2
            joined = await yard.worker(FERRYMAN_WORKER_TIMEOUT="15s")
            yard.gate.touch()

            # It drains, and takes tasks again.
            ran = {*accepted, "due"}
            await yard.until(lambda: {words[0] for words in yard.lines("note")} >= ran)
            await yard.until_stats(waiting=0, active=0, delayed=0)
            assert Counter(words[0] for words in yard.lines("note")) == Counter(ran)
            assert {words[0] for words in yard.lines("end")} == {f"held-{n}" for n in (1, 2, 3, 4)}
            assert (await http.post("/tasks", json=body)).status_code == 201
        await queue.enqueue("note", {})
        await yard.until_stats(waiting=0, active=0)
        stats = await yard.bench.stats()
        assert (stats.recovered, stats.dead, stats.unaccounted) == (2, 0, 0)
        assert before.running
        assert joined.running


async def until_it_serves(http: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    async with asyncio.timeout(60):
        while True:
            try:
                return await http.post("/tasks", json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
