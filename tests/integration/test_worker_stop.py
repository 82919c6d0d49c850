"""Code that can't be stopped: the process ends before its task runs elsewhere, soon, and nobody is charged."""

from __future__ import annotations

import signal
import time
from urllib.parse import urlsplit

import pytest
from ferryman_yard.yard import Yard

from ferryman.crashtest.relay import Relay

# "runs" is written every 5 ms by such code: its last one against the first sign of the next run.


async def ran_in_turn(yard: Yard) -> bool:
    """Whether the first process was silent for good before the task started in the second one."""
    await yard.until(lambda: len(yard.lines("start")) == 2)
    (_, [_, first]), (started_s, [_, second]) = yard.moments("start")
    assert first != second
    return max(at_s for at_s, [_, pid] in yard.moments("runs") if pid == first) < started_s


async def not_charged(yard: Yard, id: str) -> bool:
    task = await yard.task(id)
    return (task.crashes, task.attempt, task.evidence) == (0, 0, ())


async def test_a_second_sigterm_beside_a_thread_that_hears_nothing_gives_its_task_back_soon(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="1h", FERRYMAN_WORKER_TIMEOUT="15s")
    await yard.enqueue("a", name="stuck", args='{"seconds": 3600}')
    await yard.until(lambda: yard.lines("start"))
    async with yard.recoverer():
        worker.signal(signal.SIGTERM)
        await yard.until(lambda: "quiet: 1 tasks running" in worker.said())
        worker.signal(signal.SIGTERM)
        assert await yard.exit_code(worker) == 1
        ended_s = time.monotonic()
        await yard.until_stats(waiting=1, active=0, workers=0)
        assert time.monotonic() - ended_s < 10, "sooner than its promise of 15 s, and two beats, would run out"
    assert await not_charged(yard, "a")


@pytest.mark.parametrize("name", ["deaf", "deaf_coroutine"])
async def test_what_outlives_the_grace_and_cannot_be_stopped_ends_before_it_runs_elsewhere(
    yard: Yard, name: str
) -> None:
    first = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="200ms", FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue_wait("a", name=name)
    await yard.until(lambda: yard.lines("runs"))
    await yard.worker()
    async with yard.recoverer():
        first.signal(signal.SIGTERM)
        assert await yard.exit_code(first) == 1
        assert await ran_in_turn(yard)
        yard.gate.touch()
        await yard.until_stats(completed=1, active=0)
    assert yard.lines("heard"), "it was asked to stop"
    assert await not_charged(yard, "a")


async def test_its_neighbours_go_back_at_once_and_those_that_end_are_completed(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="500ms")
    await yard.enqueue("stuck", name="stuck", args='{"seconds": 3600}')
    await yard.enqueue("short", name="nap", args='{"seconds": 0.1}')
    await yard.enqueue_wait("long")
    await yard.until(lambda: len(yard.lines("start")) == 3)
    worker.signal(signal.SIGTERM)
    assert await yard.exit_code(worker) == 1
    await yard.until_stats(completed=1, waiting=1, active=1)


async def cut_off(yard: Yard, name: str, *, told: bool) -> None:
    """A worker that runs `name`, and perhaps was told to end, loses its way to Redis; the task runs elsewhere then."""
    relay, direct = Relay(), yard.redis_url
    await relay.start(("127.0.0.1", urlsplit(direct).port or 0))
    try:
        yard.redis_url = f"redis://127.0.0.1:{relay.port}/0"
        # Without a free slot it does not listen: a BLMOVE that waits behind the ice would be handed the task first.
        env = {"FERRYMAN_WORKER_TIMEOUT": "3s", "FERRYMAN_CONCURRENCY": "1", "FERRYMAN_SHUTDOWN_GRACE": "1h"}
        first = await yard.worker(**env)
        yard.redis_url = direct
        await yard.enqueue_wait("a", name=name)
        await yard.until(lambda: yard.lines("runs"))
        await yard.worker()
        if told:
            first.signal(signal.SIGTERM)
            await yard.until(lambda: "quiet: 1 tasks running" in first.said())
        async with yard.recoverer():
            relay.freeze(newcomers=True)  # nothing is refused: all that it says waits for an answer
            assert await yard.exit_code(first) in (1, -signal.SIGKILL)
            assert await ran_in_turn(yard)
            yard.gate.touch()
            await yard.until_stats(completed=1, active=0)
    finally:
        await relay.stop()


@pytest.mark.parametrize("name", ["deaf", "hog"])
async def test_a_worker_cut_off_from_redis_has_ended_its_code_before_it_runs_elsewhere(yard: Yard, name: str) -> None:
    await cut_off(yard, name, told=False)


async def test_a_worker_cut_off_in_its_grace_has_ended_its_code_before_it_runs_elsewhere(yard: Yard) -> None:
    await cut_off(yard, "deaf", told=True)
