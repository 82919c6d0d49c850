"""`ferryman top` with Textual's pilot on a real Redis: what each key does to the queue, and to what is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ferryman_yard.top_screen import line, screen_text, settled, until_shown

from ferryman import Context, Queue
from ferryman.broker import Broker
from ferryman.call import command
from ferryman.dev.top.app import TopApp
from ferryman.dev.top.confirm import Confirm
from ferryman.inspector import Inspector, QueueStats
from ferryman.keys import Keys
from ferryman.link import Link
from ferryman.new_task import NewTask
from ferryman.policy import QueuePolicy
from ferryman.task import TaskState
from ferryman.workers import WorkerInfo, WorkerRegistry

demo = Queue("demo")


@demo.task
def echo(value: str) -> str:
    """Only its manifest is of interest."""
    return value


@demo.task
def aaa(value: int) -> None:
    """First by name; `echo` is taken all the same."""


@pytest.fixture
async def link(real_link: Link) -> Link:
    worker = WorkerInfo("w1", "", "pod-1", 15_000, 1_000, 10, "acme.tasks", "1.0")
    await real_link.run(WorkerRegistry("demo").register(worker, demo.manifest("acme.tasks")))
    await real_link.run(Broker("demo").announce())
    return real_link


@pytest.fixture
def top(redis_url: str) -> TopApp:
    return TopApp(lambda: Link.from_url(redis_url), "the test's Redis", interval_s=3600)


async def stats(link: Link) -> QueueStats:
    return await link.run(Inspector("demo").stats())


async def kill_tasks(link: Link, count: int) -> list[str]:
    killed = (await link.run(Broker("demo").fetch("w1", count))).tasks
    for delivery in killed:
        await link.run(Broker("demo").dead_letter("w1", delivery.id, delivery.token, error="Boom"))
    return [delivery.id for delivery in killed]


async def test_it_shows_queues_and_what_the_chosen_ones_workers_hold(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo", "w1", "0/10", "alive")
        await pilot.press("5")
        await settled(top)
        [held] = (await link.run(Broker("demo").fetch("w1", 1))).tasks
        await top.refresh_figures()
        await until_shown(top, "1/10", f"{held.id} echo", "attempt 1")


async def test_5_adds_five_tasks_and_d_one_that_starts_later(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("5")
        await settled(top)
        assert ((await stats(link)).waiting, (await stats(link)).delayed) == (5, 0)
        shown = top.board.row("demo").stats
        assert shown is not None
        assert shown.waiting == 5
        await pilot.press("d")
        await settled(top)
        assert ((await stats(link)).waiting, (await stats(link)).delayed) == (5, 1)
        [delivery] = (await link.run(Broker("demo").fetch("w1", 1))).tasks
        assert (delivery.name, delivery.args) == ("echo", b'{"value":"hello"}')


async def test_keys_pressed_while_one_is_carried_out_are_carried_out_after_it(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("5", "5", "5", "h")
        await settled(top)
        assert ((await stats(link)).waiting, (await stats(link)).hold) == (15, True)
        await until_shown(top, "demo: held")


async def test_h_holds_and_resumes(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        for held in (True, False):
            await pilot.press("h")
            await settled(top)
            assert (await link.run(QueuePolicy("demo").read())).hold is held


@pytest.mark.parametrize(("answer", "left"), [("y", (0, 5)), ("n", (2, 3))])
async def test_v_on_a_queue_revives_all_its_dead_tasks_after_a_yes(
    top: TopApp, link: Link, answer: str, left: tuple[int, int]
) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("5")
        await settled(top)
        await kill_tasks(link, 2)
        await pilot.press("v")
        await until_shown(top, "Revive all 2 dead tasks of demo?")
        await pilot.press(answer)
        await settled(top)
        assert ((await stats(link)).dead, (await stats(link)).waiting) == left


async def test_v_on_a_dead_task_revives_that_one(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("5")
        await settled(top)
        older, newer = await kill_tasks(link, 2)
        await pilot.press("e")
        await until_shown(top, "Boom", older, newer)
        await pilot.press("down")
        chosen = top.chosen_task
        await pilot.press("v")
        await settled(top)
        dead = [task.id for task in (await link.run(Inspector("demo").dead())).tasks]
        assert dead == [({older, newer} - {chosen}).pop()]


async def test_a_dead_task_in_full_and_v_there(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("5")
        await settled(top)
        [task_id] = await kill_tasks(link, 1)
        await pilot.press("e")
        await until_shown(top, "Boom")
        await pilot.press("enter")
        await until_shown(top, f"demo: {task_id}", "ERROR", "RUNS THAT DID NOT END WELL", '{"value": "hello"}')
        await pilot.press("h", "r", "slash", "s", "x", "5")  # keys of the screen behind it: nothing happens
        await pilot.press("v")
        await settled(top)
        await until_shown(top, f"{task_id}  waiting")
        assert ((await stats(link)).hold, (await stats(link)).waiting) == (False, 5)
        await pilot.press("escape")
        await until_shown(top, "QUEUE")
        assert (await stats(link)).dead == 0


@pytest.mark.parametrize(("key", "left"), [("y", 0), ("n", 5), ("escape", 5), ("enter", 5)])
async def test_r_says_what_it_discards_and_does_it_only_after_a_yes(
    top: TopApp, link: Link, key: str, left: int
) -> None:
    other = Broker("other")
    await link.run_all([other.announce(), other.enqueue([NewTask("stays", "echo", b"{}")])])
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo", "other")
        await pilot.press("5")
        await settled(top)
        await pilot.press("r")
        await until_shown(top, "Reset demo?", "5 waiting, 0 delayed", "0 dead")
        assert isinstance(top.screen, Confirm)
        await top.refresh_figures()  # goes on behind the question
        await pilot.press(key)
        await settled(top)
        assert not isinstance(top.screen, Confirm)
        assert (await stats(link)).waiting == left
        assert (await link.run(Inspector("other").stats())).waiting == 1


async def test_x_crashes_a_worker_where_the_app_has_the_task_for_it(top: TopApp, link: Link) -> None:
    crashing = Queue("demo")

    @crashing.task(name="crash_once")
    async def crash_once(ctx: Context[None]) -> None:
        """Never run here."""

    worker = WorkerInfo("w2", "", "pod-2", 15_000, 1_000, 10, "acme.tasks", "1.0")
    async with top.run_test(size=(120, 30), notifications=True) as pilot:
        await until_shown(top, "demo")
        await pilot.press("x", "y")
        await until_shown(top, "has no task crash_once")
        assert (await stats(link)).waiting == 0

        await link.run(WorkerRegistry("demo").register(worker, crashing.manifest("acme.tasks")))
        await pilot.press("x")
        await until_shown(top, "Crash a worker of demo?")
        await pilot.press("y")
        await settled(top)
        [crash] = (await link.run(Inspector("demo").page(TaskState.WAITING))).tasks
        assert (crash.name, crash.args) == ("crash_once", b"{}")


async def test_the_filter_and_the_order(top: TopApp, link: Link) -> None:
    for name, count in [("mail-a", 1), ("mail-b", 7), ("reports", 9)]:
        tasks = [NewTask(f"{n}", "echo", b"{}") for n in range(count)]
        await link.run_all([Broker(name).announce(), Broker(name).enqueue(tasks)])
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "mail-a", "reports")
        await pilot.press("slash", *"mail", "enter")
        await until_shown(top, "2 of 4 queues")
        assert "reports" not in screen_text(top)
        await pilot.press("down")
        assert top.chosen == "mail-b"
        await pilot.press("s", "s", "s")  # by trouble, by dead, by waiting
        await until_shown(top, "by waiting")
        assert top.chosen == "mail-b", "the cursor stays with its queue"
        shown = screen_text(top)
        assert shown.index("mail-b") < shown.index("mail-a")
        await pilot.press("escape")
        await until_shown(top, "reports", "4 queues")


async def test_keys_do_no_harm_while_there_is_no_queue(redis_url: str) -> None:
    top = TopApp(lambda: Link.from_url(redis_url), "empty", interval_s=3600)
    async with top.run_test(size=(40, 10)) as pilot:
        await until_shown(top, "no queue yet")
        for key in ("5", "d", "h", "v", "r", "x", "e", "v", "enter", "w", "enter", "s"):
            await pilot.press(key)
        await settled(top)
        assert not isinstance(top.screen, Confirm)


async def test_a_queue_that_cannot_be_read_says_why_and_the_others_are_shown(top: TopApp, link: Link) -> None:
    await link.run(Broker("broken").announce())
    await link.run(command("SET", Keys("broken").waiting, "no list", read=bool))
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo", "can't be read")
        await pilot.press("down")
        await until_shown(top, "w1")
        assert "1 to look at" in line(top, "head")


async def test_a_redis_that_is_away_is_said_and_the_last_figures_stay(start_redis: Callable[..., Any]) -> None:
    server = start_redis()
    link = Link.from_url(server.url)
    await link.run_all([Broker("demo").announce(), Broker("demo").enqueue([NewTask("a", "echo", b"{}")])])
    top = TopApp(lambda: Link.from_url(server.url), "mine", interval_s=0.1)
    async with top.run_test(size=(120, 30)) as pilot:
        await until_shown(top, "demo")
        server.kill()
        await until_shown(top, "does not answer", "trying again", "demo")
        await pilot.press("5")
        await settled(top)
        server.start()
        shown = await until_shown(top, "no queue yet", "0 queues")  # nothing of it was kept on disk
        assert "does not answer" not in shown
    await link.close()
