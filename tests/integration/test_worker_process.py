"""Whole worker processes on a real Redis: they lose their ownership, are told to stop, and follow what beats bring."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from ferryman_yard.yard import Yard, yard_on

# Ownership gone


async def test_a_paused_worker_wakes_up_fenced_stops_its_code_and_goes_on_under_a_new_id(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    [before] = await yard.bench.run(yard.bench.workers.list())
    async with yard.recoverer():
        worker.signal(signal.SIGSTOP, group=True)
        await yard.until_stats(recovered=1, waiting=1)
        worker.signal(signal.SIGCONT, group=True)
        await yard.until(lambda: yard.lines("cancelled") == [["a"]])
        yard.gate.touch()
        await yard.until_stats(completed=1, active=0)
    await yard.until(lambda: worker.said().count("serving queue") == 2)
    [after] = await yard.bench.run(yard.bench.workers.list())
    assert after.id != before.id
    assert worker.process.poll() is None
    assert len(yard.lines("start")) == 2, "once before the pause, once after it"


async def test_a_beat_tells_a_worker_that_it_was_declared_dead_and_its_code_stops(yard: Yard) -> None:
    """A proof of death that was wrong, of a worker whose promise still holds, and that asks Redis for nothing else."""
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="15s", FERRYMAN_CONCURRENCY="1")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    [row] = await yard.bench.run(yard.bench.workers.list())
    await yard.bench.run(yard.bench.workers.declare_dead(row.id, "somebody was wrong"))
    await yard.bench.run(yard.bench.broker.recover(row.id))
    await yard.until(lambda: yard.lines("cancelled") == [["a"]])
    assert "this worker was declared dead" in worker.said()
    yard.gate.touch()
    await yard.until_stats(completed=1, active=0)
    assert len(yard.lines("start")) == 2
    assert worker.running


async def test_a_worker_that_cannot_beat_for_as_long_as_it_promised_stops_its_code_by_itself(
    start_redis: Callable[..., Any], tmp_path: Path
) -> None:
    server = start_redis()
    async with yard_on(server.url, tmp_path) as yard:
        worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
        await yard.enqueue_wait("a")
        await yard.until(lambda: yard.lines("start"))
        server.process.send_signal(signal.SIGSTOP)
        try:
            await yard.until(lambda: yard.lines("cancelled") == [["a"]])
        finally:
            server.process.send_signal(signal.SIGCONT)
        yard.gate.touch()
        await yard.until_stats(completed=1, recovered=0)  # it gave the task back by itself: no crash was charged
        assert worker.running
        assert worker.said().count("serving queue") == 2


async def test_a_thread_that_cannot_be_stopped_takes_the_process_with_it(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue("a", name="stuck", args='{"seconds": 3600}')
    await yard.until(lambda: yard.lines("start"))
    async with yard.recoverer():
        worker.signal(signal.SIGSTOP, group=True)
        await yard.until_stats(recovered=1)
        worker.signal(signal.SIGCONT, group=True)
        assert await yard.exit_code(worker) == 1
    assert "can't be stopped" in worker.said()


# Told to stop


async def test_sigterm_lets_tasks_end_and_gives_nothing_new_out(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    worker.signal(signal.SIGTERM)
    async with httpx.AsyncClient() as http:
        ready = f"http://127.0.0.1:{worker.port}/readyz"

        async def unready() -> bool:
            return (await http.get(ready)).status_code == 503

        await yard.until(unready)
        assert (await http.get(ready.replace("readyz", "livez"))).status_code == 200
    await yard.enqueue("late", name="note")
    yard.gate.touch()
    assert await yard.exit_code(worker) == 0
    stats = await yard.bench.stats()
    assert (stats.completed, stats.waiting, stats.active, stats.workers) == (1, 1, 0, 0)
    assert len(yard.lines("leave")) == 1, "the lifespan was left"


async def test_what_outlives_the_grace_is_stopped_and_goes_back_with_nothing_spent(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="200ms")
    await yard.enqueue_wait("a")
    await yard.enqueue_wait("b", name="child")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    worker.signal(signal.SIGTERM)
    assert await yard.exit_code(worker) == 0
    stats = await yard.bench.stats()
    assert (stats.waiting, stats.active, stats.failed, stats.recovered, stats.workers) == (2, 0, 0, 0, 0)
    task = await yard.bench.run(yard.bench.inspector.get("a"))
    assert task is not None
    assert task.attempt == 0


async def test_a_second_sigterm_does_not_wait_for_running_tasks(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="1h")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    worker.signal(signal.SIGTERM)
    await yard.until(lambda: "quiet: 1 tasks running" in worker.said())
    worker.signal(signal.SIGTERM)
    assert await yard.exit_code(worker) == 0
    await yard.until_stats(waiting=1, active=0)


# What beats bring


async def test_a_drained_worker_idles_not_ready_and_resumes_when_the_lease_ends(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="3s")
    [row] = await yard.bench.run(yard.bench.workers.list())
    await yard.bench.run(yard.bench.workers.drain([row.id], 600_000))
    async with httpx.AsyncClient() as http:

        async def ready() -> bool:
            return (await http.get(f"http://127.0.0.1:{worker.port}/readyz")).status_code == 200

        async def unready() -> bool:
            return not await ready()

        await yard.until(unready)
        await yard.enqueue("a", name="note")
        assert (await yard.bench.stats()).waiting == 1
        await yard.bench.run(yard.bench.workers.drain([row.id], 0))
        await yard.until_stats(completed=1)
        await yard.until(ready)


async def test_a_new_policy_is_followed_without_a_restart(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="3s")
    await yard.bench.run(yard.bench.policy.write({"max_attempts": 9}, generation=4))
    await yard.until(lambda: "generation 4" in worker.said())
    await yard.enqueue("a", name="note")
    await yard.until_stats(completed=1)
    assert yard.lines("note") == [["a", "deps", "9"]]
