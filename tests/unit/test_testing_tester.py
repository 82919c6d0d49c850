"""The Tester: what a team sees of its tasks in its own tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ferryman import Backoff, Context, DeadTask, InvalidTask, Middleware, Queue, Retry, TaskState
from ferryman.testing import Tester


class Order(msgspec.Struct):
    number: int
    lines: list[str] = []


orders = Queue("orders")
mails = Queue("mails")
ran: list[tuple[Any, ...]] = []


@pytest.fixture(autouse=True)
def fresh() -> None:
    ran.clear()


@mails.task
async def mail(to: str, subject: str = "hello") -> None:
    ran.append(("mail", to, subject))


@orders.task
async def confirm(ctx: Context[str | None], order: Order) -> None:
    ran.append(("confirm", order, ctx.task_id, ctx.attempt, ctx.deps))
    await mail.enqueue("a@example.com", subject=f"order {order.number}")


@orders.task
def pack(number: int) -> None:
    ran.append(("pack", number, threading.current_thread() is threading.main_thread()))
    mail.enqueue_sync("packed@example.com")


@orders.task(run_in="process", timeout="20s")
def render(number: int) -> None:
    ran.append(("render", number, os.getpid()))


@orders.task(max_attempts=3, backoff=Backoff(initial_s=10, jitter=False), dead_letter_on=(KeyError,))
async def charge(error: str) -> None:
    ran.append(("charge", error))
    match error:
        case "key":
            raise KeyError("no such card")
        case "later":
            raise Retry(delay="1m", spend=False, reason="closed")
        case "":
            return
    raise ValueError(error)


@orders.task(timeout="30s", max_attempts=1)
async def hang() -> None:
    ran.append(("began",))
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ran.append(("cancelled",))
        raise


async def test_what_is_enqueued_is_seen_and_does_not_run_by_itself(ferryman: Tester) -> None:
    await confirm.enqueue(Order(7, ["tea"]))
    await mail.options(priority=5, unique="u", delay="10s", max_attempts=2).enqueue("b@example.com")
    await orders.enqueue("elsewhere", {"n": 1})
    [task] = ferryman.enqueued(confirm)
    assert task.args == {"order": Order(7, ["tea"])}
    assert task.called_with(Order(7, ["tea"]))
    assert not task.called_with(Order(8))
    assert task.state is TaskState.WAITING
    [later] = ferryman.delayed()
    assert (later.name, later.args, later.priority, later.unique) == ("mail", {"to": "b@example.com"}, 5, "u")
    assert later.options.max_attempts == 2
    assert later.run_at == ferryman.now + timedelta(seconds=10)
    [foreign] = ferryman.enqueued("elsewhere")
    assert foreign.args == {"n": 1}
    assert [seen.name for seen in ferryman.enqueued()] == ["confirm", "mail", "elsewhere"]
    assert ran == []


async def test_an_enqueue_that_found_its_task_there_is_no_second_one(ferryman: Tester) -> None:
    for _ in range(2):
        await mail.options(id="once").enqueue("a@example.com")
        mail.options(unique="only").enqueue_sync("b@example.com")
    assert [task.args["to"] for task in ferryman.enqueued()] == ["a@example.com", "b@example.com"]


async def test_a_run_until_idle_also_runs_what_handlers_enqueue(ferryman: Tester) -> None:
    accepted = await confirm.enqueue(Order(7))
    runs = await ferryman.run_until_idle()
    assert [(run.task, run.outcome, run.attempt) for run in runs] == [
        ("confirm", "completed", 1),
        ("mail", "completed", 1),
    ]
    assert ran == [("confirm", Order(7), accepted.id, 1, None), ("mail", "a@example.com", "order 7")]
    [seen] = ferryman.completed(confirm)
    assert seen.args == {"order": Order(7)}
    assert ferryman.stats(orders).unaccounted == 0


async def test_plain_handlers_run_in_threads_and_process_handlers_in_this_process(ferryman: Tester) -> None:
    await pack.enqueue(1)
    await render.enqueue(2)
    await ferryman.run_until_idle()
    assert ran == [("pack", 1, False), ("render", 2, os.getpid()), ("mail", "packed@example.com", "hello")]


async def test_a_failure_is_retried_after_its_backoff_and_dies_at_its_last_attempt(ferryman: Tester) -> None:
    await charge.enqueue("bad")
    [run] = await ferryman.run_until_idle()
    assert (run.outcome, run.delay_s) == ("retried", 10)
    assert "ValueError: bad" in run.error
    assert "test_testing_tester.py" in run.error
    ferryman.advance("9s")
    assert await ferryman.run_until_idle() == []
    ferryman.advance("1s")
    [run] = await ferryman.run_until_idle()
    assert (run.attempt, run.outcome, run.delay_s) == (2, "retried", 20)
    ferryman.advance("20s")
    [run] = await ferryman.run_until_idle()
    assert (run.attempt, run.outcome) == (3, "dead")
    [dead] = ferryman.dead(charge)
    assert "attempt 3 of 3" in dead.error
    assert ferryman.waiting() == ferryman.delayed() == ferryman.completed() == []


async def test_dead_letter_on_and_retry_are_the_workers_own(ferryman: Tester) -> None:
    await charge.enqueue("key")
    await charge.enqueue("later")
    first, second = await ferryman.run_until_idle()
    assert (first.outcome, second.outcome, second.delay_s) == ("dead", "retried", 60)
    assert "closed" in second.error
    [waits] = ferryman.delayed(charge)
    assert waits.run_at == ferryman.now + timedelta(minutes=1)


async def test_run_until_empty_moves_the_clock_to_whatever_is_due_next(ferryman: Tester) -> None:
    began = ferryman.now
    await charge.enqueue("bad")
    await mail.options(delay="1h").enqueue("late@example.com")
    runs = await ferryman.run_until_empty()
    assert [run.outcome for run in runs] == ["retried", "retried", "dead", "completed"]
    assert ferryman.now == began + timedelta(hours=1)


async def test_a_timeout_strikes_where_the_coroutine_waits_without_waiting_for_it(ferryman: Tester) -> None:
    await hang.enqueue()
    await render.enqueue(1)
    with ferryman.timing_out(hang, render):
        runs = await ferryman.run_until_idle()
    assert [run.outcome for run in runs] == ["dead", "retried"]
    assert "timeout of 30 s" in runs[0].error
    assert "timeout of 20 s" in runs[1].error
    assert ran == [("began",), ("cancelled",)]


async def test_deps_are_what_the_lifespan_yields_unless_overridden(ferryman: Tester) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        events.append("in")
        yield "real"
        events.append("out")

    queue = Queue("with-lifespan", lifespan=lifespan)

    @queue.task
    async def look(ctx: Context[str]) -> None:
        events.append(ctx.deps)

    @queue.task(run_in="process")
    def look_there(ctx: Context[str]) -> None:
        events.append(ctx.deps)

    assert await ferryman.run_until_idle() == []
    assert events == []
    await look.enqueue()
    await look_there.enqueue()
    await ferryman.run_until_idle()
    assert events == ["in", "real", "real", "out"]
    events.clear()
    ferryman.override_deps(queue, "fake")
    await look.enqueue()
    await look_there.enqueue()
    await ferryman.run_until_idle()
    assert events == ["fake", "fake"]


def test_a_blocking_test_sees_plain_handlers_run_in_its_own_thread() -> None:
    with Tester() as tester:
        pack.enqueue_sync(1)
        runs = tester.run_until_idle_sync()
        assert [run.outcome for run in runs] == ["completed", "completed"]
        assert ran[0] == ("pack", 1, True)
        render.enqueue_sync(3)
        charge.enqueue_sync("bad")
        tester.run_until_empty_sync()
        assert len(tester.dead(charge)) == 1


async def test_a_task_that_enqueues_itself_without_end_is_stopped(ferryman: Tester) -> None:
    queue = Queue("endless")

    @queue.task
    async def again() -> None:
        await again.enqueue()

    @queue.task
    async def later() -> None:
        await later.options(delay="1d").enqueue()

    await again.enqueue()
    with pytest.raises(AssertionError, match="more than 20 runs, and still tasks wait: 21 of again"):
        await ferryman.run_until_idle(at_most=20)
    del queue.handlers["again"]
    await later.enqueue()
    with pytest.raises(AssertionError, match="still tasks are delayed"):
        await ferryman.run_until_empty(at_most=20)


async def test_a_name_that_no_handler_has_is_parked_as_in_a_worker(ferryman: Tester) -> None:
    await mails.enqueue("mial", {"to": "a@example.com"})
    [run] = await ferryman.run_until_idle()
    assert run.outcome == "parked"
    assert (
        run.error == "no handler named 'mial' in queue 'mails'; it waits for a version that can run it (1 of 33 tries)"
    )
    assert [task.name for task in ferryman.delayed()] == ["mial"]


async def test_tasks_whose_queue_has_no_handlers_here_stay_where_they_are(ferryman: Tester) -> None:
    elsewhere = Queue("elsewhere")
    await elsewhere.enqueue("work", {"n": 1})
    assert await ferryman.run_until_empty() == []
    assert [task.name for task in ferryman.waiting("work")] == ["work"]


async def test_of_queues_with_one_name_the_last_with_handlers_runs_tasks(ferryman: Tester) -> None:
    first, second, third = Queue("twin"), Queue("twin"), Queue("twin")
    seen = []

    @first.task(name="work")
    async def work_first() -> None:
        seen.append("first")

    @second.task(name="work")
    async def work_second() -> None:
        seen.append("second")

    await third.enqueue("work")
    await ferryman.run_until_idle()
    assert seen == ["second"]


async def test_a_producer_that_waits_for_replicas_need_not_in_a_test(ferryman: Tester) -> None:
    careful = Queue("careful", wait_replicas=2)
    assert (await careful.enqueue("work")).created
    assert careful.enqueue_sync("work").created


async def test_the_url_of_a_queue_is_never_opened(ferryman: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FERRYMAN_REDIS_URL", "redis://127.0.0.1:1/0")
    there = Queue("there", redis_url="redis://127.0.0.1:2/0")
    assert (await there.enqueue("work")).created
    assert (await mail.enqueue("a@example.com")).created


async def test_a_cancelled_run_stops_the_code_and_gives_the_task_back(ferryman: Tester) -> None:
    await hang.enqueue()
    working = asyncio.create_task(ferryman.run_until_idle())
    async with asyncio.timeout(30):
        while ("began",) not in ran:
            await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    ran.remove(("began",))
    assert ran == [("cancelled",)]
    [task] = ferryman.waiting(hang)
    assert task.attempt == 0
    assert ferryman.stats(orders).active == 0


async def test_what_was_enqueued_in_one_test_is_gone_in_the_next() -> None:
    with Tester() as outer:
        await mail.enqueue("a@example.com")
        with Tester() as inner:
            assert inner.enqueued() == []
            await mail.enqueue("b@example.com")
            assert len(inner.enqueued()) == 1
        await mail.enqueue("c@example.com")
        assert [task.args["to"] for task in outer.enqueued()] == ["a@example.com", "c@example.com"]


async def test_an_expected_call_that_the_handler_could_not_take_is_an_error(ferryman: Tester) -> None:
    await mail.enqueue("a@example.com")
    await mails.enqueue("elsewhere")
    [task] = ferryman.enqueued(mail)
    with pytest.raises(InvalidTask, match="subject"):
        task.called_with("a@example.com", subject=3)  # type: ignore[arg-type]
    [foreign] = ferryman.enqueued("elsewhere")
    with pytest.raises(TypeError, match="no handler named 'elsewhere'"):
        foreign.called_with()


def test_timing_out_is_refused_for_threads(ferryman: Tester) -> None:
    with pytest.raises(ValueError, match="'pack' runs in a thread"), ferryman.timing_out(pack):
        pass


async def test_a_coroutine_that_waits_for_nothing_can_not_time_out(ferryman: Tester) -> None:
    await mail.enqueue("a@example.com")
    with ferryman.timing_out(mail):
        [run] = await ferryman.run_until_idle()
    assert run.outcome == "completed"


async def test_time_is_the_tests_and_moves_what_is_due(ferryman: Tester) -> None:
    began = ferryman.now
    await mail.options(at=began + timedelta(minutes=5)).enqueue("a@example.com")
    await mail.options(delay="10m").enqueue("b@example.com")
    ferryman.advance(timedelta(minutes=5))
    assert [task.args["to"] for task in ferryman.waiting()] == ["a@example.com"]
    assert [task.args["to"] for task in ferryman.delayed()] == ["b@example.com"]
    assert ferryman.now - began == timedelta(minutes=5)
    with pytest.raises(ValueError, match="soon"):
        ferryman.advance("soon")


def test_without_the_extra_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    monkeypatch.delitem(sys.modules, "ferryman.testing.fake_redis", raising=False)
    with pytest.raises(RuntimeError, match=r"pip install 'ferryman\[testing\]'"):
        Tester()


def test_importing_it_imports_neither_pytest_nor_a_redis_client() -> None:
    program = """
import sys
import ferryman.testing
print(sorted({"pytest", "fakeredis", "redis", "lupa", "msgspec", "asgiref", "ferryman_worker"} & set(sys.modules)))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"


def run_pytest(folder: Path) -> subprocess.CompletedProcess[str]:
    """A session of its own, without the plugins that are dear to start and have no part in this."""
    words = ("-m", "pytest", "-q", "-p", "no:schemathesis", "-p", "no:hypothesispytest", str(folder))
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)


def test_pytest_starts_with_the_plugin_and_without_what_only_its_fixture_needs(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it() -> None:\n"
        "    assert 'ferryman_pytest' in sys.modules\n"
        "    assert not {'fakeredis', 'redis', 'msgspec', 'ferryman'} & set(sys.modules)\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ended = run_pytest(tmp_path)
    assert ended.returncode == 0, ended.stdout


def test_an_unknown_kind_of_server_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(ferryman) -> None: ...\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nferryman_redis = real\n")
    ended = run_pytest(tmp_path)
    assert ended.returncode == 1
    assert "ferryman_redis = 'real' is none of fake, embedded" in ended.stdout


async def test_middlewares_and_their_dead_hooks_are_part_of_a_run(ferryman: Tester) -> None:
    told: list[str] = []

    class Telling(Middleware):
        def on_dead(self, dead: DeadTask) -> None:
            told.append(f"{dead.task} is dead: {dead.error.splitlines()[0]}")

    queue = Queue("told", middlewares=[Telling()])

    @queue.task(max_attempts=1)
    async def fail() -> None:
        raise ValueError("no")

    await fail.enqueue()
    await ferryman.run_until_idle()
    assert told == ["fail is dead: ValueError: no"]


def test_a_blocking_run_calls_dead_hooks_in_the_tests_thread(ferryman: Tester) -> None:
    """Where its database connection is, and its transaction that nobody else sees."""
    told: list[tuple[str, threading.Thread]] = []

    class Telling(Middleware):
        def on_dead(self, dead: DeadTask) -> None:
            told.append((dead.task_id, threading.current_thread()))

    queue = Queue("told-here", middlewares=[Telling()])

    @queue.task(max_attempts=2)
    def fail() -> None:
        raise ValueError("no")

    accepted = fail.enqueue_sync()
    assert [run.outcome for run in ferryman.run_until_idle_sync()] == ["retried"]
    assert told == []
    assert [run.outcome for run in ferryman.run_until_empty_sync()] == ["dead"]
    assert told == [(accepted.id, threading.current_thread())]


async def test_a_dead_hook_that_fails_is_logged_and_fails_no_run(
    ferryman: Tester, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Middleware):
        async def on_dead(self, dead: DeadTask) -> None:
            raise LookupError("the pager is away")

    queue = Queue("told-badly", middlewares=[Failing()])

    @queue.task(max_attempts=1)
    async def fail() -> None:
        raise ValueError("no")

    await fail.enqueue()
    assert [run.outcome for run in await ferryman.run_until_idle()] == ["dead"]
    assert "the pager is away" in caplog.text


async def test_time_that_is_moved_fires_schedules_at_their_moments(ferryman: Tester) -> None:
    queue = Queue("almanac")
    seen: list[tuple[str, str]] = []

    @queue.task(cron="0 7 * * *", tz="Europe/Berlin")
    async def digest(ctx: Context[None]) -> None:
        seen.append((ctx.task_id, ctx.headers["ferryman-schedule"]))

    ferryman.advance("1d")
    ferryman.advance("12h")
    [first, *more] = ferryman.waiting(digest)
    assert first.id.startswith("digest:")
    assert len(more) <= 1
    await ferryman.run_until_idle()
    assert seen == [(task.id, "digest") for task in ferryman.completed(digest)]


def test_a_clock_that_is_moved_too_far_is_noticed(ferryman: Tester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryman.testing.tester.OCCURRENCES_AT_MOST", 30)
    queue = Queue("almanac")

    @queue.task(cron="* * * * *")
    async def often() -> None: ...

    ferryman.advance("30m")
    assert len(ferryman.waiting(often)) == 30
    with pytest.raises(AssertionError, match="advance by less"):
        ferryman.advance("31m")
