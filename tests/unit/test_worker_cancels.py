"""Stopping a run for good: because somebody has cancelled its task, or its time is over; and results that it leaves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from ferryman_bench.worker_stage import Stage, Staging, stages
from ferryman_worker import slot as slots
from ferryman_worker.outcome import RetryLater

from ferryman import Context, Queue
from ferryman.protocol import Delivery, kept_result, refused_result


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with stages() as make:
        yield make


def cancel(stage: Stage, *ids: str, can_stop: bool = True) -> list[str]:
    return [delivery.id for delivery in stage.pool.cancel(ids, lambda task: can_stop)]


async def test_a_cancelled_coroutine_cleans_up_and_leaves_for_good(staging: Staging) -> None:
    queue, cleaned = Queue("q"), []

    @queue.task
    async def handler(ctx: Context[None]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(ctx.task_id)

    stage = await staging(queue)
    stage.put("handler", "handler")
    await stage.until(lambda: stage.pool.running == 2)
    cancel(stage, "t1")
    await stage.until(lambda: stage.pool.running == 1)

    assert (cleaned, stage.acker.stopped_for_good, stage.acker.failed) == (["t1"], ["t1"], {})
    assert stage.counters.of("handler").run_seconds.total < 5
    cancel(stage, "t2")
    await stage.idle()


async def test_whatever_a_cancelled_run_raises_it_does_not_run_again(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task
    async def handler() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("in its clean-up") from None

    stage = await staging(queue)
    stage.put("handler")
    await stage.until(lambda: stage.pool.running == 1)
    cancel(stage, "t1")
    await stage.idle()
    assert (stage.acker.stopped_for_good, stage.acker.failed) == (["t1"], {})


async def test_a_run_that_ends_well_all_the_same_has_completed(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task
    async def handler() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    stage = await staging(queue)
    stage.put("handler")
    await stage.until(lambda: stage.pool.running == 1)
    cancel(stage, "t1")
    await stage.idle()
    assert (stage.acker.completed, stage.acker.stopped_for_good) == (["t1"], [])


async def test_what_can_not_be_stopped_runs_on_and_what_has_not_started_is_taken_back(staging: Staging) -> None:
    queue, gate = Queue("q"), asyncio.Event()

    @queue.task
    async def handler() -> None:
        await gate.wait()

    stage = await staging(queue, slots=1)
    stage.put("handler", "handler", "handler")
    await stage.until(lambda: stage.pool.running == 1)
    assert cancel(stage, "t1", "t3", can_stop=False) == ["t3"]
    gate.set()
    await stage.idle()
    assert stage.acker.completed == ["t1", "t2"]


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_coroutine_that_swallows_its_stop_is_stopped_again_and_again(
    staging: Staging, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "CLEAN_UP_S", 0.02)
    monkeypatch.setattr(slots, "AGAIN_EVERY_S", 0.02)
    queue, heard = Queue("q"), []

    async def stubborn() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append(1)
        await asyncio.sleep(60)

    queue.task(name="handler", timeout="20ms" if how == "timeout" else None)(stubborn)
    stage = await staging(queue)
    stage.put("handler")
    await stage.until(lambda: stage.pool.running == 1)
    if how == "cancel":
        cancel(stage, "t1")
    await stage.idle()
    assert len(heard) == 3
    assert stage.acker.stopped_for_good == (["t1"] if how == "cancel" else [])
    assert [type(verdict) for verdict in stage.acker.failed.values()] == ([RetryLater] if how == "timeout" else [])


async def test_a_result_is_kept_where_the_enqueue_or_the_decorator_says_so(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task(keep_result="2s")
    async def kept() -> list[int]:
        return [1]

    @queue.task
    def plain() -> str:
        return "x"

    stage = await staging(queue)
    stage.put("kept", "plain")
    stage.put("plain", options=b'{"keep_result_s":1}')
    stage.put("kept", options=b'{"keep_result_s":0}')
    await stage.idle()
    expected = {"t1": kept_result(2_000, b"[1]"), "t2": b"", "t3": kept_result(1_000, b'"x"'), "t4": b""}
    assert stage.acker.results == expected


async def test_a_result_that_can_not_be_kept_fails_no_task(staging: Staging, caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue("q")

    @queue.task(keep_result="1s")
    async def large() -> str:
        return "x" * (1 << 20)

    stage = await staging(queue)
    stage.put("large")
    await stage.idle()
    problem = (
        "its result is 1048578 bytes encoded, the limit is 1048576: store the data elsewhere and return a reference"
    )
    assert stage.acker.results == {"t1": refused_result(1_000, problem)}
    assert f"large has completed, but {problem}" in caplog.text


async def test_progress_is_kept_in_memory_and_the_last_word_counts(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task
    async def handler(ctx: Context[None]) -> None:
        for n in range(1_000):
            ctx.progress(n, 1_000, "x" * 500)

    stage = await staging(queue)
    stage.pool.put([Delivery("t1", "handler", b"{}", b"", 1, 7, 0, 0, False, 0, 0)])
    await stage.idle()
    [step] = stage.acker.progress.take(["t1"])
    assert (step.id, step.token) == ("t1", 7)
    assert step.progress == b'{"done":999,"total":1000,"note":"%b"}' % (b"x" * 200)
    assert not stage.acker.progress


async def test_progress_goes_out_at_most_once_a_second_or_with_its_task() -> None:
    from ferryman_worker.progress_log import ProgressLog

    log = ProgressLog()
    log.tell("a", 1, 1, None, "")
    log.tell("b", 1, 1, None, "")
    assert [step.id for step in log.take([])] == ["a", "b"]
    log.tell("a", 1, 2, None, "")
    log.tell("b", 1, 2, None, "")
    assert not log.due
    assert log.take([]) == []
    [last] = log.take(["b"])
    assert (last.id, last.progress) == ("b", b'{"done":2,"total":null,"note":""}')
    log.tell("b", 1, 3, None, "")
    log.put_back([last])
    assert [step.progress for step in log.take(["b"])] == [b'{"done":3,"total":null,"note":""}']


@pytest.mark.parametrize("wrong", [("1", None), (1, "2"), (None, None)])
async def test_progress_that_is_no_number_is_refused_where_it_is_said(wrong: tuple[object, object]) -> None:
    from ferryman import context

    with pytest.raises(TypeError, match="both are numbers"):
        context().progress(*wrong)  # type: ignore[arg-type]
    context().progress(1, 2, "nobody listens, and nothing fails")
