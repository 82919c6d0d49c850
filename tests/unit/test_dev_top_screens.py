"""What `ferryman top` looks like, kept as text: at 40, 80 and 120 columns, with 500 queues, Redis away, dialogs.

The figures are read from fakeredis with a clock that stands still. After a wanted change:

    FERRYMAN_UPDATE_SNAPSHOTS=1 pytest tests/unit/test_dev_top_screens.py

and look at the difference: these files are what a person sees.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from ferryman_bench import Bench
from ferryman_yard.top_screen import line, screen_text, settled, until_shown
from textual.pilot import Pilot

from ferryman.dev.top.app import TopApp
from ferryman.dev.top.confirm import Confirm
from ferryman.link import Link
from ferryman.protocol import Completion
from ferryman.terms import Terms

SNAPSHOTS = Path(__file__).parent / "snapshots/top"
DOCUMENTATION = Path(__file__).parents[2] / "docs/top.md"
SIZES = [(40, 24), (80, 24), (120, 30)]
NOON_MS = 1_800_000_000_000
TRACEBACK = """\
AddressRefused: no mailbox \x1b[31mhere\x1b[0m [42]
  File "acme/tasks.py", line 36, in send
    await mailer.deliver(to)
(attempt 5 of 5: the last)"""


class Scene:
    """Three queues on a fakeredis of their own, and a screen that reads them when it is told to."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.server = FakeServer()
        self.link = Link(FakeAsyncRedis(server=self.server))
        self.emails, self.reports, self.thumbs = (self.bench(name) for name in ("emails", "reports", "thumbs"))
        self.shown_s = 0.0

    def bench(self, queue: str) -> Bench:
        return Bench(self.link, self.clock, queue)

    @asynccontextmanager
    async def top(self, size: tuple[int, int], **options: Any) -> AsyncIterator[tuple[TopApp, Pilot[None]]]:
        """The screen; it reads when it begins and when a test says so."""

        def connect() -> Link:
            return Link(FakeAsyncRedis(server=self.server, host="redis.acme"))

        where = "redis://redis.acme:6379/0"
        top = TopApp(connect, where, interval_s=3600, clock=lambda: self.shown_s, **options)
        async with top.run_test(size=size, notifications=True) as pilot:
            yield top, pilot

    async def second(self, top: TopApp, done: int = 0, came: int = 0) -> None:
        """A second of `emails`, in which `done` tasks were completed and `came` were enqueued; then a refresh."""
        await self.clock.advance(1_000)
        await self.emails.enqueue(*(f"new-{self.clock.now_ms}-{n}" for n in range(came)), name="send")
        held = await self.emails.fetch("uid-1.worker.ab12cd", done)
        completions = [Completion(task.id, task.token) for task in held]
        await self.emails.run(self.emails.broker.complete("uid-1.worker.ab12cd", completions))
        await top.refresh_figures()

    async def fill(self) -> None:
        """Something of everything that a person may have to notice."""
        await self.emails.bury("welcome-7", name="send", error=TRACEBACK, args=b'{"to":"a@example.com"}')
        await self.emails.bury("welcome-9", name="send", error="Timeout: took too long", args=b'{"to":"b@example.com"}')
        await self.clock.advance(95_000)
        await self.emails.register("uid-1.worker.ab12cd", pod="emails-worker-5d9f4-x2k8q", timeout_ms=600_000)
        await self.emails.register("uid-2.worker.ef34ab", pod="emails-worker-5d9f4-p7zzt", timeout_ms=600_000)
        await self.emails.register("uid-3.worker.cc55dd", pod="emails-worker-5d9f4-silent", timeout_ms=20_000)
        await self.emails.enqueue("news-1", "news-2", "news-3", name="send_newsletter")
        await self.emails.fetch("uid-3.worker.cc55dd", 2)
        await self.clock.advance(24_000)
        await self.emails.fetch("uid-1.worker.ab12cd", 1)
        await self.emails.enqueue(*(f"mail-{n}" for n in range(1_234)), name="send")
        await self.emails.enqueue("tomorrow", name="send", delay_ms=86_400_000)
        await self.reports.enqueue("monthly", name="build")
        await self.reports.run(self.reports.policy.hold(True))
        await self.thumbs.enqueue("t-1", name="shrink")
        await self.thumbs.enqueue("t-2", name="shrink")
        for bench in (self.emails, self.reports, self.thumbs):
            await bench.run(bench.broker.announce())
        await self.clock.advance(3_000)

    async def fill_lanes(self) -> None:
        """One lane that a concurrency holds back, one that a rate does, and one that only waits for its turn."""
        await self.emails.register("uid-1.worker.ab12cd", pod="emails-worker-5d9f4-x2k8q", timeout_ms=600_000)
        await self.emails.run(
            self.emails.policy.write({"lane_concurrency": 2, "lane_rate_count": 3, "lane_rate_ms": 60_000}, 1)
        )
        for lane, count in (("acme", 2_345), ("globex", 3), ("umbrella-corporation-of-raccoon-city", 14)):
            terms = Terms(lane=lane).encode()
            await self.emails.enqueue(*(f"{lane}-{n}" for n in range(count)), name="send", terms=terms)
        held = await self.emails.fetch("uid-1.worker.ab12cd", 5)
        completions = [Completion(task.id, task.token) for task in held if task.id.startswith("acme")]
        await self.emails.run(self.emails.broker.complete("uid-1.worker.ab12cd", completions))
        await self.emails.fetch("uid-1.worker.ab12cd", 1)
        await self.emails.run(self.emails.broker.announce())

    async def fill_five_hundred(self) -> None:
        """As many queues, five of which have tasks and no worker."""
        for n in range(500):
            bench = self.bench(f"queue-{n:03}")
            await bench.run(bench.broker.announce())
            if n % 100 == 77:
                await bench.enqueue(*(f"t-{k}" for k in range(n // 10)))


@pytest.fixture
async def scene(frozen_clock: Any) -> AsyncIterator[Scene]:
    frozen_clock.now_ms = NOON_MS
    scene = Scene(frozen_clock)
    yield scene
    await scene.link.close()


def agrees(name: str, top: TopApp) -> None:
    """The screen is as it was when somebody looked at it last."""
    path, text = SNAPSHOTS / f"{name}.txt", screen_text(top)
    width, height = top.size
    lines = text.splitlines()
    assert len(lines) == height
    assert all(len(one) <= width for one in lines)
    if os.environ.get("FERRYMAN_UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == (path.read_text(encoding="utf-8") if path.exists() else ""), f"{path} differs; see the test's head"


@pytest.mark.parametrize("name", ["workers-120", "lanes-120", "task-80"])
def test_the_documentation_shows_what_a_person_sees(name: str) -> None:
    picture = (SNAPSHOTS / f"{name}.txt").read_text(encoding="utf-8")
    assert f"```\n{picture}```" in DOCUMENTATION.read_text(encoding="utf-8"), f"docs/top.md shows another {name}.txt"


@pytest.mark.parametrize("size", SIZES)
async def test_queues_and_the_chosen_ones_workers_with_what_they_hold(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails", "news-2")
        for done, came in [(10, 0), (40, 300), (20, 900), (0, 0), (300, 0)]:
            await scene.second(top, done, came)
        await pilot.pause()
        agrees(f"workers-{size[0]}", top)


@pytest.mark.parametrize("size", SIZES)
async def test_dead_tasks_with_their_errors(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails")
        await pilot.press("e")
        await until_shown(top, "Timeout")
        agrees(f"dead-{size[0]}", top)


@pytest.mark.parametrize("size", SIZES)
async def test_lanes_and_what_holds_them_back(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill_lanes()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails")
        await pilot.press("l")
        await until_shown(top, "acme")
        agrees(f"lanes-{size[0]}", top)


async def test_a_queue_without_lanes_says_so(scene: Scene) -> None:
    await scene.fill()
    async with scene.top((80, 24)) as (top, pilot):
        await until_shown(top, "emails")
        await pilot.press("l")
        await until_shown(top, "no tasks stand in lanes")
        await pilot.press("enter")  # nothing to open
        await pilot.press("w")
        await until_shown(top, "news-2")


@pytest.mark.parametrize("size", SIZES)
async def test_a_dead_task_in_full(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails")
        await pilot.press("e")
        await until_shown(top, "Timeout")
        await pilot.press("down", "enter")
        await until_shown(top, "line 36")
        agrees(f"task-{size[0]}", top)
        assert "\x1b" not in screen_text(top)


@pytest.mark.parametrize("size", SIZES)
async def test_the_question_before_a_reset(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails", "news-2")
        await pilot.press("r")
        await until_shown(top, "for good")
        assert isinstance(top.screen, Confirm)
        agrees(f"reset-{size[0]}", top)
        await pilot.press("n")
        await settled(top)


@pytest.mark.parametrize("size", [(40, 24), (120, 40)])
async def test_all_keys(scene: Scene, size: tuple[int, int]) -> None:
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "no queue yet")
        await pilot.press("question_mark")
        await until_shown(top, "another; also")
        agrees(f"keys-{size[0]}", top)


@pytest.mark.parametrize("size", SIZES)
async def test_redis_is_away_and_the_last_figures_stay_with_their_age(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "emails", "news-2")
        scene.server.connected = False
        scene.shown_s += 42
        assert not await top.refresh_figures()
        await until_shown(top, "42s old", "1,234")
        await pilot.pause()
        agrees(f"away-{size[0]}", top)

        scene.server.connected = True
        assert await top.refresh_figures()
        await pilot.pause()
        assert "42s old" not in screen_text(top)


@pytest.mark.parametrize("size", [(40, 12), (80, 24)])
async def test_five_hundred_queues(scene: Scene, size: tuple[int, int]) -> None:
    await scene.fill_five_hundred()
    async with scene.top(size) as (top, pilot):
        await until_shown(top, "queue-000")
        await top.refresh_figures()
        await pilot.pause()  # until all lines have their height: a page is what is left of the screen
        await pilot.press("pagedown", "down")
        await top.refresh_figures()
        await pilot.pause()
        agrees(f"many-{size[0]}", top)


async def test_five_hundred_queues_by_trouble(scene: Scene) -> None:
    """Those that were never on the screen are read in turn, so after some refreshes all that is wrong is known."""
    await scene.fill_five_hundred()
    async with scene.top((80, 24)) as (top, pilot):
        await until_shown(top, "queue-000")
        for _ in range(500 // 25):
            await top.refresh_figures()
        assert "5 to look at" in line(top, "head")
        await pilot.press("s", "home")
        await until_shown(top, "queue-477")
        await top.refresh_figures()
        await pilot.pause()
        agrees("many-by-trouble-80", top)
