"""Who lives and who is dead: a worker that is busy is not, one that hangs is, one that was paused learns it."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest
from ferryman_yard.yard import Yard


@pytest.mark.parametrize("name", ["block", "hold_gil"])
async def test_a_handler_that_blocks_the_loop_or_the_gil_is_not_death(yard: Yard, name: str) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    async with yard.recoverer():
        await yard.enqueue("a", name=name, args='{"seconds": 4}')
        await yard.until(lambda: yard.lines("start"))
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{worker.port}/livez")).status_code == 200
        await yard.until_stats(completed=1)
    assert (await yard.bench.stats()).recovered == 0
    assert len(yard.lines("start")) == 1


async def test_a_minute_without_the_loop_and_half_a_minute_without_the_gil_at_default_settings(yard: Yard) -> None:
    """Two workers at once; what others have enqueued meanwhile runs on a third."""
    blocked = await yard.worker(FERRYMAN_WORKER_TIMEOUT="", FERRYMAN_CONCURRENCY="1")
    await yard.enqueue("minute", name="block", args='{"seconds": 60}')
    await yard.until(lambda: len(yard.lines("start")) == 1)
    silent = await yard.worker(FERRYMAN_WORKER_TIMEOUT="", FERRYMAN_CONCURRENCY="1")
    await yard.enqueue("gil", name="hold_gil", args='{"seconds": 30}')
    await yard.until(lambda: len(yard.lines("start")) == 2)
    await yard.worker(FERRYMAN_WORKER_TIMEOUT="", FERRYMAN_CONCURRENCY="1")
    async with yard.recoverer():
        others = [f"n{number}" for number in range(20)]
        await yard.enqueue(*others, name="note")
        await yard.until_stats(completed=20, active=2)
        assert not yard.lines("end")
        await yard.until_stats(completed=22, active=0, patience_s=120)
    assert (await yard.bench.stats()).recovered == 0
    assert len(yard.lines("start")) == 2
    assert blocked.running
    assert silent.running


async def test_a_loop_that_hangs_for_ever_is_death(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s", FERRYMAN_HANG_TIMEOUT="1s")
    async with yard.recoverer():
        await yard.enqueue("a", name="block", args='{"seconds": 3600}')
        await yard.until(lambda: yard.lines("start"))
        assert await yard.exit_code(worker) == -signal.SIGKILL
        await yard.until_stats(recovered=1, active=0)
    assert "no more beats" in worker.said()


async def test_a_task_that_ended_while_its_worker_was_taken_for_dead_is_fenced_and_counted(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue("napper", name="nap", args='{"seconds": 2}')
    await yard.enqueue_wait("long")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    async with yard.recoverer():
        worker.signal(signal.SIGSTOP, group=True)
        await yard.until_stats(recovered=2, waiting=2)
        await yard.bench.run(yard.bench.policy.hold(True))
        await asyncio.sleep(1)  # the nap is over when it wakes
        worker.signal(signal.SIGCONT, group=True)
        await yard.until(lambda: yard.lines("cancelled") == [["long"]])
        await yard.until(lambda: worker.said().count("serving queue") == 2)
        # Whether the nap's end or the verdict came first: its result is not applied, and that is counted.
        stats = await yard.bench.stats()
        assert (stats.completed, stats.waiting, stats.active) == (0, 2, 0)
        if ["napper"] in yard.lines("end"):
            assert await yard.metric(worker, "ferryman_stale_outcomes_total") >= 1
        yard.gate.touch()
        await yard.bench.run(yard.bench.policy.hold(False))
        await yard.until_stats(completed=2, active=0)
    assert worker.running


async def test_a_worker_timeout_that_is_lowered_meanwhile_robs_nobody_and_is_soon_what_counts(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    async with yard.recoverer():
        await yard.bench.run(yard.bench.policy.write({"worker_timeout_ms": 2_000}, generation=2))
        await yard.until(lambda: "generation 2" in worker.said())

        async def promised_ms() -> float:
            [row] = await yard.bench.run(yard.bench.workers.list())
            return row.deadline_ms - (await yard.bench.stats()).now_ms

        async def shorter() -> bool:
            return await promised_ms() <= 2_000

        await yard.until(shorter)
        for _ in range(30):  # twice the new timeout and more
            assert await promised_ms() > 0
            await asyncio.sleep(0.15)
        assert (await yard.bench.stats()).recovered == 0
        worker.signal(signal.SIGKILL)
        await yard.until_stats(recovered=1, waiting=1, patience_s=10)
