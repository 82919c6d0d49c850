"""Middlewares in the worker: around runs in the loop and in threads, in their order; and on_dead."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from ferryman_bench.worker_stage import Staging, stages
from ferryman_worker.acker import Acker
from ferryman_worker.counters import Counters
from ferryman_worker.dead_hooks import DeadHooks
from ferryman_worker.outcome import Crash, DeadLetter, RetryLater, TimedOut, Verdict
from ferryman_worker.repertoire import Repertoire

from ferryman import Context, DeadTask, Middleware, Queue, Retry
from ferryman.context import current_run
from ferryman.policy import Policy
from ferryman.protocol import Delivery, ExitReply


class Diary(Middleware):
    """Writes down what it sees, with its own name."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.name = name
        self.diary = diary

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Iterator[None]:
        self.diary.append(f"{self.name} enters {ctx.task_id}")
        try:
            yield
        except BaseException as error:
            self.diary.append(f"{self.name} sees {error!r}")
            raise
        else:
            self.diary.append(f"{self.name} leaves")


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with stages() as make:
        yield make


def queue_with(*middlewares: Middleware, say: Callable[[str], object] = lambda word: None) -> Queue:
    """Handlers of both kinds, which `say` what they do."""
    queue = Queue("q", middlewares=middlewares)

    @queue.task
    async def coroutine(ctx: Context[None], waits: bool = False) -> None:
        say("runs")
        if waits:
            await asyncio.sleep(0)

    @queue.task
    def plain() -> None:
        say("runs")

    @queue.task(max_attempts=3)
    async def broken() -> None:
        raise ValueError("boom")

    @queue.task(timeout=0.01)
    async def slow() -> None:
        await asyncio.sleep(60)

    @queue.task
    async def patient() -> None:
        raise Retry(delay=5, spend=False)

    return queue


@pytest.mark.parametrize(("task", "args"), [("coroutine", {}), ("coroutine", {"waits": True}), ("plain", {})])
async def test_the_first_middleware_is_the_outermost(staging: Staging, task: str, args: dict[str, Any]) -> None:
    diary: list[str] = []
    stage = await staging(queue_with(Diary("outer", diary), Diary("inner", diary), say=diary.append))
    await stage.run(task, **args)

    assert diary == ["outer enters t1", "inner enters t1", "runs", "inner leaves", "outer leaves"]
    assert stage.acker.completed == ["t1"]


async def test_a_middleware_runs_where_the_handler_runs(staging: Staging) -> None:
    """Context variables and thread locals that it sets are the handler's."""
    seen: list[object] = []

    class Where(Middleware):
        @contextmanager
        def around_run(self, ctx: Context[Any]) -> Iterator[None]:
            seen.append((threading.get_ident(), current_run.get() is ctx))
            yield

    stage = await staging(queue_with(Where(), say=lambda _: seen.append((threading.get_ident(), True))))
    await stage.run("plain")
    await stage.run("coroutine")

    assert seen[0] == seen[1]
    assert seen[2] == seen[3] == (threading.get_ident(), True)
    assert seen[0] != seen[2]


async def test_what_a_handler_raises_passes_through_and_is_its_outcome(staging: Staging) -> None:
    diary: list[str] = []
    stage = await staging(queue_with(Diary("outer", diary), Diary("inner", diary)))
    await stage.run("broken")

    assert diary[2:] == ["inner sees ValueError('boom')", "outer sees ValueError('boom')"]
    verdict = stage.acker.failed["t1"]
    assert isinstance(verdict, RetryLater)
    assert verdict.error.startswith("ValueError: boom\n")
    assert "middleware" not in verdict.error.replace(__file__, ""), "only the handler's own frames are kept"


async def test_a_timeout_reaches_a_middleware_as_what_it_is(staging: Staging) -> None:
    diary: list[str] = []
    stage = await staging(queue_with(Diary("outer", diary)))
    await stage.run("slow")

    assert diary[1] == f"outer sees {TimedOut(0.01)!r}"
    verdict = stage.acker.failed["t1"]
    assert isinstance(verdict, RetryLater)
    assert verdict.error.startswith("TimedOut: ran longer than its timeout of 0.01 s")


async def test_a_wish_to_run_again_passes_through(staging: Staging) -> None:
    diary: list[str] = []
    stage = await staging(queue_with(Diary("outer", diary)))
    await stage.run("patient")

    assert stage.acker.failed["t1"] == RetryLater(5_000, False, "run again in 5 s")


@pytest.mark.parametrize("task", ["coroutine", "plain"])
async def test_an_error_of_a_middleware_is_the_run_s_failure_and_the_handler_does_not_run(
    staging: Staging, task: str
) -> None:
    diary: list[str] = []

    class Broken(Middleware):
        @contextmanager
        def around_run(self, ctx: Context[Any]) -> Iterator[None]:
            raise LookupError("no tenant")
            yield

    stage = await staging(queue_with(Diary("outer", diary), Broken(), say=diary.append))
    await stage.run(task)

    assert diary == ["outer enters t1", "outer sees LookupError('no tenant')"]
    verdict = stage.acker.failed["t1"]
    assert isinstance(verdict, RetryLater)
    assert verdict.error.startswith("LookupError: no tenant")


async def test_a_middleware_may_turn_a_failure_into_a_success(staging: Staging) -> None:
    class Forgiving(Middleware):
        @contextmanager
        def around_run(self, ctx: Context[Any]) -> Iterator[None]:
            with suppress(ValueError):
                yield

    stage = await staging(queue_with(Forgiving()))
    await stage.run("broken")

    assert stage.acker.completed == ["t1"]


async def test_a_middleware_may_pass_a_run_by(staging: Staging) -> None:
    class Picky(Middleware):
        def around_run(self, ctx: Context[Any]) -> None:
            return None

    stage = await staging(queue_with(Picky()))
    await stage.run("coroutine")

    assert stage.acker.completed == ["t1"]


async def test_the_context_has_the_headers_that_travelled_with_the_task(staging: Staging) -> None:
    seen: list[object] = []

    class Reader(Middleware):
        def around_run(self, ctx: Context[Any]) -> None:
            seen.append((dict(ctx.headers), ctx.max_attempts))

    stage = await staging(queue_with(Reader()))
    await stage.run("coroutine", options=b'{"headers":{"tenant":"7"}}')
    await stage.run("coroutine", options=b'{"headers":{"tenant":"8"},"max_attempts":9}')
    await stage.run("coroutine")

    assert seen == [({"tenant": "7"}, 5), ({"tenant": "8"}, 9), ({}, 5)]


def test_hooks_that_nobody_overrides_do_not_exist() -> None:
    diary: list[str] = []
    queue = queue_with(Diary("only runs", diary))

    assert [len(part.around) for part in Repertoire(queue.handlers, Counters("q"), Policy(), None).parts.values()] == [
        1
    ] * 5
    assert not DeadHooks(queue.middlewares)
    assert queue.producer._around == ()


def test_what_is_no_middleware_is_refused() -> None:
    with pytest.raises(TypeError, match=r"is no ferryman\.Middleware object"):
        Queue("q", middlewares=[Diary])  # type: ignore[list-item]


# on_dead.


class Mourner(Middleware):
    """`on_dead` as a coroutine."""

    def __init__(self) -> None:
        self.told: list[DeadTask] = []

    async def on_dead(self, dead: DeadTask) -> None:
        self.told.append(dead)


class PlainMourner(Middleware):
    """`on_dead` as a plain function, which may block."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_dead(self, dead: DeadTask) -> None:
        self.told.append((dead.task_id, threading.current_thread() is threading.main_thread()))


DELIVERY = Delivery("t1", "send", b'{"to": "a"}', b'{"headers":{"tenant":"7"}}', 3, 5, 0, 0, False, 0, 0)


def outcome(acker: Acker, verdict: Verdict, *answers: object) -> None:
    """The verdict goes out, and Redis answers so; again until there are no more answers."""
    acker.fail(DELIVERY, verdict, 0.1)
    for answer in answers:
        acker.settle(acker.take(), [answer])


@pytest.mark.parametrize(
    ("verdict", "answer", "error"),
    [
        (DeadLetter("ValueError: boom"), ExitReply.OK, "ValueError: boom"),
        (Crash("SIGSEGV"), ExitReply.DEAD, "SIGSEGV"),
        (Crash("SIGSEGV"), ExitReply.OK, None),
        (RetryLater(5, True, "no"), ExitReply.OK, None),
        (DeadLetter("ValueError: boom"), ExitReply.NOT_HELD, None),
    ],
    ids=["dead", "crashed for the last time", "crashed", "retried", "not ours any more"],
)
async def test_on_dead_is_called_for_tasks_that_redis_has_moved_to_dead(
    verdict: Verdict, answer: ExitReply, error: str | None
) -> None:
    mourner, plain = Mourner(), PlainMourner()
    hooks = DeadHooks([mourner, plain])
    outcome(Acker(Counters("q"), hooks), verdict, answer)
    await hooks.close(10)

    told = [] if error is None else [DeadTask("q", "send", "t1", 3, error, b'{"to": "a"}', {"tenant": "7"})]
    assert mourner.told == told
    assert plain.told == [("t1", False)] * len(told)


async def test_on_dead_that_fails_is_logged_and_keeps_nobody_else_from_being_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Middleware):
        async def on_dead(self, dead: DeadTask) -> None:
            raise LookupError("no pager")

    mourner = Mourner()
    hooks = DeadHooks([Broken(), mourner])
    acker = Acker(Counters("q"), hooks)
    outcome(acker, DeadLetter("a"), ExitReply.OK)
    outcome(acker, DeadLetter("b"), ExitReply.OK)
    await hooks.close(10)

    assert [dead.error for dead in mourner.told] == ["a", "b"]
    assert [record.__dict__["task_id"] for record in caplog.records] == ["t1", "t1"]
    assert "LookupError: no pager" in caplog.text


async def test_a_stop_waits_for_on_dead_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    class Stuck(Middleware):
        async def on_dead(self, dead: DeadTask) -> None:
            await asyncio.Event().wait()

    hooks = DeadHooks([Stuck()])
    acker = Acker(Counters("q"), hooks)
    for _ in range(3):
        outcome(acker, DeadLetter("a"), ExitReply.OK)
    await asyncio.sleep(0)
    await hooks.close(0.01)

    assert "on_dead was not called for 3 tasks" in caplog.text
