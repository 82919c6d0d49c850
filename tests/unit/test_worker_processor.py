"""Running handlers in slots: where, under what limits, and that nothing leaks from one task into the next."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator

import pytest
from ferryman_bench.worker_stage import Staging, stages
from ferryman_worker.outcome import DeadLetter, Park, RetryLater

from ferryman import Context, Queue, Retry
from ferryman.context import current_run
from ferryman.policy import Policy
from ferryman.protocol import Delivery


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with stages() as make:
        yield make


async def test_tasks_that_never_wait_share_one_slot_and_one_asyncio_task(staging: Staging) -> None:
    queue, seen = Queue("q"), []

    @queue.task
    async def note() -> None:
        seen.append(asyncio.current_task())

    stage = await staging(queue, slots=3)
    stage.put(*["note"] * 5)
    await stage.idle()
    assert stage.acker.completed == ["t1", "t2", "t3", "t4", "t5"]
    assert len(set(seen)) == 1


async def test_tasks_that_wait_run_side_by_side_in_at_most_all_slots(staging: Staging) -> None:
    queue, gate = Queue("q"), asyncio.Event()

    @queue.task
    async def wait() -> None:
        await gate.wait()

    stage = await staging(queue, slots=2)
    stage.put(*["wait"] * 3)
    await stage.until(lambda: stage.pool.running == 2)
    assert stage.pool.ahead == 1
    gate.set()
    await stage.idle()
    assert sorted(stage.acker.completed) == ["t1", "t2", "t3"]


async def test_inside_a_handler_the_asyncio_task_is_the_same_from_start_to_end(staging: Staging) -> None:
    queue, seen = Queue("q"), []

    @queue.task
    async def handler() -> None:
        first = asyncio.current_task()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.sleep(10)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        seen.append(first is asyncio.current_task())

    stage = await staging(queue)
    stage.put("handler", "handler")
    await stage.idle()
    assert seen == [True, True]


@pytest.mark.parametrize("waits", [False, True])
async def test_context_variables_of_one_task_never_show_in_the_next(staging: Staging, waits: bool) -> None:
    queue, seen = Queue("q"), []
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")

    @queue.task
    async def handler() -> None:
        seen.append((tenant.get(), current_run.get().task_id))
        tenant.set("somebody")
        if waits:
            await asyncio.sleep(0)
            seen.append((tenant.get(), current_run.get().task_id))

    stage = await staging(queue, slots=1)
    stage.put("handler", "handler")
    await stage.idle()
    expected = [("nobody", "t1"), ("somebody", "t1"), ("nobody", "t2"), ("somebody", "t2")]
    assert seen == (expected if waits else expected[::2])


async def test_a_handler_that_asks_for_a_context_gets_one(staging: Staging) -> None:
    queue, seen = Queue("q"), []

    @queue.task(max_attempts=7)
    async def handler(ctx: Context[str], value: int) -> None:
        seen.append((ctx.deps, ctx.task_id, ctx.queue, ctx.task, ctx.attempt, ctx.deliveries, ctx.max_attempts, value))

    stage = await staging(queue, deps="the pool")
    stage.pool.put([Delivery("t1", "handler", b'{"value": 5}', b"", 2, 3, 0, 0, False, 0, 0)])
    await stage.idle()
    assert seen == [("the pool", "t1", "q", "handler", 2, 3, 7, 5)]


async def test_whatever_a_handler_raises_is_its_own_task_s_outcome(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task
    async def exits() -> None:
        raise SystemExit(3)

    @queue.task
    async def interrupts() -> None:
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    @queue.task
    async def cancels() -> None:
        raise asyncio.CancelledError

    @queue.task
    async def stops() -> None:
        raise StopIteration

    @queue.task
    def stops_in_thread() -> None:
        raise StopIteration

    @queue.task
    async def wishes() -> None:
        raise Retry(delay="7s", spend=False)

    @queue.task
    async def fine() -> None: ...

    stage = await staging(queue)
    stage.put("exits", "interrupts", "cancels", "stops", "stops_in_thread", "wishes", "fine")
    await stage.idle()
    assert stage.acker.completed == ["t7"]
    assert all(isinstance(verdict, RetryLater) for verdict in stage.acker.failed.values())
    assert len(stage.acker.failed) == 6
    wish = stage.acker.failed["t6"]
    assert isinstance(wish, RetryLater)
    assert (wish.delay_ms, wish.spend) == (7_000, False)


async def test_unknown_names_are_parked_and_malformed_data_is_dead(staging: Staging) -> None:
    queue = Queue("q")

    @queue.task
    async def handler(value: int) -> None: ...

    stage = await staging(queue)
    stage.put("unheard_of")
    stage.put("handler", raw=b"{not json")
    stage.put("handler", value="text")
    stage.put("handler", value=1, options=b"[]")
    await stage.idle()
    verdicts = [stage.acker.failed[f"t{i}"] for i in (1, 2, 3, 4)]
    assert [type(verdict) for verdict in verdicts] == [Park, DeadLetter, DeadLetter, DeadLetter]
    assert isinstance(verdicts[2], DeadLetter)
    assert "value" in verdicts[2].error


async def test_the_first_who_names_a_limit_decides_option_decorator_policy(staging: Staging) -> None:
    queue, seen = Queue("q"), {}

    @queue.task(max_attempts=4)
    async def decorated(ctx: Context[None]) -> None:
        seen[ctx.task_id] = ctx.max_attempts

    @queue.task
    async def bare(ctx: Context[None]) -> None:
        seen[ctx.task_id] = ctx.max_attempts

    stage = await staging(queue, policy=Policy(max_attempts=9))
    stage.put("decorated", "bare")
    stage.put("decorated", options=b'{"max_attempts": 2}')
    await stage.idle()
    assert seen == {"t1": 4, "t2": 9, "t3": 2}


async def test_a_coroutine_that_takes_too_long_is_cancelled_and_its_task_fails(staging: Staging) -> None:
    queue, cleaned = Queue("q"), []

    @queue.task(timeout="20ms")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    @queue.task
    async def after() -> None:
        await asyncio.sleep(0)

    stage = await staging(queue, slots=1)
    stage.put("slow", "after")
    await stage.idle()
    verdict = stage.acker.failed["t1"]
    assert isinstance(verdict, RetryLater)
    assert "longer than its timeout of 0.02 s" in verdict.error
    assert cleaned == [True]
    assert stage.acker.completed == ["t2"], "the slot's asyncio task carries no cancellation over"


async def test_a_timeout_leaves_no_trace_in_the_slot_s_asyncio_task(staging: Staging) -> None:
    queue, requests = Queue("q"), []

    @queue.task(timeout="20ms")
    async def slow() -> None:
        await asyncio.sleep(60)

    @queue.task
    async def after() -> None:
        me = asyncio.current_task()
        assert me is not None
        requests.append(me.cancelling())  # what task groups and anyio go by

    stage = await staging(queue, slots=1)
    stage.put("slow", "after")
    await stage.idle()
    assert requests == [0]


async def test_plain_functions_run_in_threads_beside_the_loop(staging: Staging) -> None:
    queue, seen = Queue("q"), []

    @queue.task
    def plain(value: int) -> None:
        seen.append((threading.current_thread() is threading.main_thread(), current_run.get().task_id, value))

    stage = await staging(queue)
    stage.put("plain", value=5)
    stage.put("plain", value=6)
    await stage.idle()
    assert sorted(seen) == [(False, "t1", 5), (False, "t2", 6)]


async def test_stopping_interrupts_coroutines_and_threads_and_decides_nothing(staging: Staging) -> None:
    queue, started, never = Queue("q"), threading.Event(), asyncio.Event()

    @queue.task
    def spins() -> None:
        started.set()
        while True:
            pass

    @queue.task
    async def waits() -> None:
        await never.wait()

    stage = await staging(queue)
    stage.put("spins", "waits")
    await stage.until(lambda: started.is_set() and stage.pool.running == 2)
    stage.pool.stop()
    assert await stage.pool.ended(10)
    assert {delivery.id for delivery in stage.pool.take_stopped()} == {"t1", "t2"}
    assert (stage.acker.completed, stage.acker.failed) == ([], {})

    stage.pool.reopen()
    never.set()
    stage.put("waits")
    await stage.idle()
    assert stage.acker.completed == ["t3"]


async def test_a_failure_that_came_just_before_the_stop_counts_as_one(staging: Staging) -> None:
    queue, fail, failed = Queue("q"), threading.Event(), threading.Event()

    @queue.task
    def fails() -> None:
        fail.wait(10)
        failed.set()
        raise ValueError("of its own accord")

    stage = await staging(queue)
    stage.put("fails")
    await stage.until(lambda: stage.pool.running == 1)
    fail.set()
    failed.wait(10)
    time.sleep(0.05)  # the loop stands still: it hears of the failure after it has asked for the stop
    stage.pool.stop()
    assert await stage.pool.ended(10)
    assert stage.pool.take_stopped() == []
    assert isinstance(stage.acker.failed["t1"], RetryLater)


async def test_what_breaks_on_the_way_out_of_a_stop_is_no_failure(staging: Staging) -> None:
    queue, never = Queue("q"), asyncio.Event()

    @queue.task
    async def cleans_up() -> None:
        try:
            await never.wait()
        finally:
            raise ConnectionError("closed already")

    stage = await staging(queue)
    stage.put("cleans_up")
    await stage.until(lambda: stage.pool.running == 1)
    stage.pool.stop()
    assert await stage.pool.ended(10)
    assert [delivery.id for delivery in stage.pool.take_stopped()] == ["t1"]
    assert stage.acker.failed == {}


async def test_an_interrupted_thread_s_exception_does_not_reach_the_next_task(staging: Staging) -> None:
    queue, started, go_on = Queue("q"), threading.Event(), threading.Event()

    @queue.task
    def in_c_code() -> None:
        started.set()
        go_on.wait(10)  # hears of the interrupt only when it returns

    @queue.task
    def after() -> None:
        for _ in range(1000):
            pass

    stage = await staging(queue, slots=1)
    stage.put("in_c_code")
    await stage.until(started.is_set)
    stage.pool.stop()
    assert not await stage.pool.ended(0.01), "a thread in C code can't be stopped"
    go_on.set()
    assert await stage.pool.ended(10)
    stage.pool.reopen()
    stage.pool.take_stopped()
    stage.put("after")
    await stage.idle()
    assert stage.acker.completed == ["t2"]


async def test_what_waits_too_long_for_a_slot_can_be_taken_back(staging: Staging) -> None:
    queue, never = Queue("q"), asyncio.Event()

    @queue.task
    async def waits() -> None:
        await never.wait()

    stage = await staging(queue, slots=1)
    stage.put(*["waits"] * 3)
    await stage.until(lambda: stage.pool.running == 1)
    assert stage.pool.take_stale(60) == []
    assert [delivery.id for delivery in stage.pool.take_stale(0)] == ["t2", "t3"]
    never.set()
