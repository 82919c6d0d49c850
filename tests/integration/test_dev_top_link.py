"""`ferryman top` over a link that is slow, and what it costs: one bounded reading at a time, however many queues."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ferryman_yard.top_screen import settled, until_shown

from ferryman.broker import Broker
from ferryman.call import Call, command
from ferryman.crashtest.relay import Relay
from ferryman.dev.top.app import TopApp
from ferryman.dev.top.readings import OTHERS_PER_READING
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.new_task import NewTask

#: Each way.
LATENCY_S = 0.15


@pytest.fixture
async def relay(start_redis: Callable[..., Any]) -> AsyncIterator[Relay]:
    """A way to a Redis of its own, which takes 300 ms there and back."""
    relay = Relay()
    await relay.start(("127.0.0.1", start_redis().port))
    relay.slow_down(LATENCY_S, 0)
    yield relay
    await relay.stop()


async def make_queues(link: Link, count: int) -> None:
    calls: list[Call[Any]] = []
    for n in range(count):
        broker = Broker(f"queue-{n:03}")
        calls += [broker.announce(), broker.enqueue([NewTask("a", "echo", b"{}")])]
    await link.run_all(calls)


class Readings:
    """What a link was asked to do, and how many of it at once."""

    def __init__(self, link: Link) -> None:
        self._run_all = link.run_all
        self.calls: list[int] = []
        self.at_once = self.most_at_once = 0
        link.run_all = self._counted  # type: ignore[method-assign]

    async def _counted(self, calls: Any) -> Any:
        self.calls.append(len(calls))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._run_all(calls)
        finally:
            self.at_once -= 1


async def test_over_a_slow_link_readings_never_overlap_and_become_fewer(relay: Relay) -> None:
    url = f"redis://127.0.0.1:{relay.port}/0"
    near = Link.from_url(url)
    await make_queues(near, 2)
    far = Link.from_url(url)
    readings = Readings(far)
    top = TopApp(lambda: far, "far away", interval_s=0.1)
    async with top.run_test(size=(100, 24)) as pilot:
        await until_shown(top, "queue-001", "Slow link: a refresh takes 0.")
        begun, began_s = len(readings.calls), time.monotonic()
        for _ in range(6):
            await pilot.press("down", "up")  # each wants other details
        await asyncio.sleep(2)
        rate = (len(readings.calls) - begun) / (time.monotonic() - began_s)
        await asyncio.gather(*(top.refresh_figures() for _ in range(3)))  # as after keys that changed something
        assert readings.most_at_once == 1
        assert rate < 4, "a reading takes 0.3 s, and rests three times as long when nobody moves"

        await pilot.press("h")  # a key is not lost meanwhile
        await settled(top)
        await until_shown(top, "held")
    await near.close()


async def test_the_first_figures_need_few_round_trips(relay: Relay) -> None:
    url = f"redis://127.0.0.1:{relay.port}/0"
    near = Link.from_url(url)
    await make_queues(near, 60)
    far = Link.from_url(url)
    trips: list[float] = []
    far.watch = trips.append
    top = TopApp(lambda: far, "far away", interval_s=3600)
    async with top.run_test(size=(100, 24)):
        await until_shown(top, "queue-000        1")
        # Which Lua the server has; how many queues; their names; their figures, and again with the script loaded.
        assert len(trips) <= 6
    await near.close()


async def test_the_head_says_how_old_the_figures_are_while_redis_is_waited_for(relay: Relay) -> None:
    url = f"redis://127.0.0.1:{relay.port}/0"
    near = Link.from_url(url)
    await make_queues(near, 1)
    top = TopApp(lambda: Link.from_url(url), "far away", interval_s=0.1)
    async with top.run_test(size=(100, 24)) as pilot:
        await until_shown(top, "queue-000        1")
        relay.freeze(newcomers=True)
        await until_shown(top, "Redis has not answered for", "These figures are", "queue-000")
        await pilot.press("question_mark")
        await until_shown(top, "Control panel")  # keys work meanwhile
        await pilot.press("escape")
        await relay.thaw()
        await until_shown(top, "queue-000")
    await near.close()


@pytest.mark.parametrize("count", [60, 500])
async def test_a_refresh_reads_what_is_on_the_screen_and_little_more(
    real_link: Link, redis_url: str, count: int
) -> None:
    """Bounded in calls and bytes: the same for 60 queues and for 500."""
    await make_queues(real_link, count)
    seen = Link.from_url(redis_url)
    top = TopApp(lambda: seen, "near", interval_s=3600)
    async with top.run_test(size=(100, 24)):
        await until_shown(top, "queue-000        1")
        readings = Readings(seen)
        while len(readings.calls) != 1:  # until no reading that the first screen asked for comes between
            readings.calls.clear()
            before = await traffic(real_link)
            await top.refresh_figures()
            up, down = (now - then for now, then in zip(await traffic(real_link), before, strict=True))
    rows = 24
    assert readings.calls == [pytest.approx(rows // 2 + OTHERS_PER_READING, abs=10)]
    assert up < 22_000
    assert down < 12_000


async def test_a_task_with_large_arguments_and_a_long_error_costs_a_line(real_link: Link, redis_url: str) -> None:
    large = b'{"value":"' + b"x" * 500_000 + b'"}'
    broker, inspector = Broker("demo"), Inspector("demo")
    await real_link.run_all([broker.announce(), broker.enqueue([NewTask(f"t{n}", "echo", large) for n in range(3)])])
    await real_link.run(command("ZADD", inspector.keys.workers, 9e15, "w1", read=int))
    for delivery in (await real_link.run(broker.fetch("w1", 3))).tasks:
        await real_link.run(broker.dead_letter("w1", delivery.id, delivery.token, error="Boom\n" + "y" * 4_000))
    top = TopApp(lambda: Link.from_url(redis_url), "near", interval_s=3600)
    async with top.run_test(size=(100, 24)) as pilot:
        await until_shown(top, "demo")
        await pilot.press("e")
        await until_shown(top, "Boom", "t0", "t2")
        _, before = await traffic(real_link)
        await top.refresh_figures()
        _, after = await traffic(real_link)
        assert after - before < 6_000
        await pilot.press("enter")
        await until_shown(top, "yyyy")


async def traffic(link: Link) -> tuple[int, int]:
    """(to the server, from it) in bytes, ever; a look costs some thousand of those itself."""
    stats = await link.run(command("INFO", "stats", read=dict))
    return stats["total_net_input_bytes"], stats["total_net_output_bytes"]
