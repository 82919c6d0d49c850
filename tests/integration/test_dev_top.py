"""`ferryman top` with Textual's pilot on a real Redis: what it shows, and what each key does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from textual.widgets import DataTable, Label

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.dev.top.app import TopApp
from ferryman.dev.top.confirm import Confirm
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.policy import QueuePolicy
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
async def link(redis_url: str) -> AsyncIterator[Link]:
    link = Link.from_url(redis_url)
    worker = WorkerInfo("w1", "", "pod-1", 15_000, 1_000, 10, "acme.tasks", "1.0")
    await link.run(WorkerRegistry("demo").register(worker, demo.manifest("acme.tasks")))
    await link.run(Broker("demo").announce())
    yield link
    await link.close()


@pytest.fixture
def top(redis_url: str) -> TopApp:
    return TopApp(lambda: Link.from_url(redis_url), "the test's Redis", interval_s=3600)


async def stats(link: Link) -> QueueStats:
    return await link.run(Inspector("demo").stats())


async def kill_tasks(link: Link, count: int) -> None:
    for delivery in (await link.run(Broker("demo").fetch("w1", count))).tasks:
        await link.run(Broker("demo").dead_letter("w1", delivery.id, delivery.token, error="Boom"))


async def test_it_shows_queues_and_the_chosen_queues_workers(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await top.refresh_figures()
        await pilot.pause()
        queues, workers = top.query_one("#queues", DataTable), top.query_one("#workers", DataTable)
        assert queues.get_row("demo")[:3] == ["demo", "0", "0"]
        assert workers.get_row_at(0)[:3] == ["w1", "0/10", "alive"]


async def test_5_adds_five_tasks_and_d_one_that_starts_later(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await pilot.press("5")
        await top.workers.wait_for_complete()
        assert ((await stats(link)).waiting, (await stats(link)).delayed) == (5, 0)
        assert top.query_one("#queues", DataTable).get_row("demo")[1] == "5"
        await pilot.press("d")
        await top.workers.wait_for_complete()
        assert ((await stats(link)).waiting, (await stats(link)).delayed) == (5, 1)
        [delivery] = (await link.run(Broker("demo").fetch("w1", 1))).tasks
        assert (delivery.name, delivery.args) == ("echo", b'{"value":"hello"}')


async def test_h_holds_and_resumes(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        for held in (True, False):
            await pilot.press("h")
            await top.workers.wait_for_complete()
            assert (await link.run(QueuePolicy("demo").read())).hold is held


async def test_v_revives_dead_tasks(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await pilot.press("5")
        await top.workers.wait_for_complete()
        await kill_tasks(link, 2)
        assert (await stats(link)).dead == 2
        await pilot.press("v")
        await top.workers.wait_for_complete()
        assert ((await stats(link)).dead, (await stats(link)).waiting) == (0, 5)


@pytest.mark.parametrize(("key", "left"), [("y", 0), ("n", 5), ("escape", 5), ("enter", 5)])
async def test_r_discards_only_after_a_yes(top: TopApp, link: Link, key: str, left: int) -> None:
    async with top.run_test(size=(120, 30)) as pilot:
        await pilot.press("5")
        await top.workers.wait_for_complete()
        await pilot.press("r")
        await pilot.pause()
        assert isinstance(top.screen, Confirm)
        assert "5 waiting" in str(top.screen.query(Label).first().render())
        await top.refresh_figures()  # goes on behind the question
        await pilot.press(key)
        await top.workers.wait_for_complete()
        assert not isinstance(top.screen, Confirm)
        assert (await stats(link)).waiting == left


async def test_a_redis_that_is_away_is_said_and_the_last_figures_stay(top: TopApp, link: Link) -> None:
    async with top.run_test(size=(120, 30)):
        good, top._link = top._link, Link.from_url("redis://127.0.0.1:1/0")
        await top.refresh_figures()
        head = top.query_one("#head", Label)
        assert head.has_class("away")
        assert "does not answer" in str(head.render())
        assert top.query_one("#queues", DataTable).row_count == 1
        await top._link.close()
        top._link = good
        await top.refresh_figures()
        assert not head.has_class("away")


async def test_keys_do_no_harm_while_there_is_no_queue(redis_url: str) -> None:
    top = TopApp(lambda: Link.from_url(redis_url), "empty", interval_s=3600)
    async with top.run_test(size=(40, 10)) as pilot:
        for key in ("5", "d", "h", "v", "r"):
            await pilot.press(key)
        await top.workers.wait_for_complete()
        assert not isinstance(top.screen, Confirm)
