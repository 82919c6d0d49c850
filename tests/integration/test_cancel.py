"""Cancelling what real workers run: each kind of handler, and workers that die before they hear of it."""

from __future__ import annotations

import signal

import httpx
import pytest
from click.testing import CliRunner
from ferryman_yard.process import RESULTS_APP, WorkerProcess, alive, in_pod
from ferryman_yard.yard import Yard

from ferryman.cancelling import Cancellation, CancelOutcome, cancel
from ferryman.cli.main import root
from ferryman.plan import run_plan_async

#: Beats every second.
BEATING = {"YARD_APP": str(RESULTS_APP), "FERRYMAN_WORKER_TIMEOUT": "15s"}


async def wish(yard: Yard, id: str) -> Cancellation:
    return await run_plan_async(yard.bench.link, cancel("bench", id))


async def running(yard: Yard, id: str, name: str, **env: str) -> WorkerProcess:
    """A worker that runs the task."""
    worker = await yard.worker(**BEATING, **env)
    args = "{}" if name == "hangs_in_c" else f'{{"path": "{yard.gate}"}}'
    await yard.enqueue(id, name=name, args=args)
    await yard.until(lambda: yard.lines("start"))
    return worker


async def test_a_coroutine_is_cancelled_and_may_clean_up(yard: Yard) -> None:
    worker = await running(yard, "t", "after")

    assert (await wish(yard, "t")).outcome is CancelOutcome.CANCELLING

    await yard.until_stats(active=0, discarded=1, cancelled=1, waiting=0, unaccounted=0)
    assert yard.lines("cleaned") == [["t"]]
    task = await yard.task("t")
    assert (task.state, task.why) == ("discarded", "cancelled")
    assert [(run.attempt, run.outcome) for run in task.history] == [(1, "cancelled")]
    assert worker.running
    assert (await wish(yard, "t")).outcome is CancelOutcome.FINISHED


async def test_a_process_that_hangs_in_c_is_killed_and_nobody_is_charged(yard: Yard) -> None:
    await running(yard, "t", "hangs_in_c")
    [[_, pid]] = yard.lines("start")

    assert (await wish(yard, "t")).accepted

    await yard.until_stats(active=0, discarded=1, cancelled=1)
    await yard.until(lambda: not alive(int(pid)))
    assert (await yard.task("t")).crashes == 0


async def test_a_thread_is_not_cancelled_and_the_answer_says_why(yard: Yard) -> None:
    await running(yard, "t", "deaf")

    refused = await wish(yard, "t")

    assert refused.outcome is CancelOutcome.REFUSED
    assert "thread" in refused.reason
    yard.gate.touch()
    await yard.until_stats(completed=1, discarded=0)


async def test_a_coroutine_that_swallows_its_cancellation_is_cancelled_again(yard: Yard) -> None:
    await running(yard, "t", "stubborn")
    await wish(yard, "t")
    await yard.until_stats(active=0, discarded=1, cancelled=1)
    assert yard.lines("swallowed") == [["t"]]


async def test_a_wish_outlives_the_worker_that_never_heard_it(yard: Yard) -> None:
    worker = await running(yard, "t", "after", **in_pod())
    worker.signal(signal.SIGSTOP, group=True)
    assert (await wish(yard, "t")).outcome is CancelOutcome.CANCELLING
    worker.signal(signal.SIGKILL, group=True)

    await yard.worker(**BEATING, **in_pod())

    await yard.until_stats(active=0, waiting=0, discarded=1, cancelled=1, unaccounted=0)
    assert len(yard.lines("start")) == 1


async def test_what_a_worker_holds_and_has_not_started_is_cancelled_too(yard: Yard) -> None:
    await running(yard, "first", "after", FERRYMAN_CONCURRENCY="1")
    for id in ("second", "third"):
        await yard.enqueue_wait(id, name="after")
    assert (await wish(yard, "second")).accepted
    await yard.until_stats(discarded=1, active=1, waiting=1)
    yard.gate.touch()
    await yard.until_stats(completed=2, unaccounted=0)


async def test_the_command_asks_a_running_tasks_worker(yard: Yard) -> None:
    await running(yard, "t", "after")
    said = CliRunner().invoke(root, ["cancel", "bench", "t", "--redis", yard.redis_url])
    assert (said.exit_code, said.output) == (0, "t: it is running; its worker was asked to stop it.\n")
    await yard.until_stats(discarded=1)


@pytest.mark.parametrize("name", ["after", "hangs_in_c"])
async def test_cancelled_runs_are_counted_as_such(yard: Yard, name: str) -> None:
    worker = await running(yard, "t", name)
    await wish(yard, "t")
    await yard.until_stats(discarded=1)
    text = await metrics_of(worker)
    assert f'ferryman_tasks_total{{outcome="cancelled",queue="bench",task="{name}"}} 1.0' in text


async def metrics_of(worker: WorkerProcess) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"http://127.0.0.1:{worker.port}/metrics")).text
