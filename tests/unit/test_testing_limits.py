"""Limits, lanes and unique keys in the tests of users: they hold there as on a server, by the tests' clock."""

from __future__ import annotations

from ferryman import Limits, Queue
from ferryman.testing import Tester

queue = Queue("tested-limits", limits=Limits(lane_rate="2/10s"))
ran: list[str] = []


@queue.task(lane="{tenant}")
async def call(tenant: str, n: int) -> None:
    ran.append(f"{tenant}{n}")


@queue.task
async def refresh(n: int) -> None:
    ran.append(f"refresh{n}")


async def test_a_rate_holds_until_the_clock_moves() -> None:
    ran.clear()
    with Tester() as tester:
        for n in range(3):
            await call.enqueue("a", n)
        await call.enqueue("b", 0)

        await tester.run_until_idle()
        assert sorted(ran) == ["a0", "a1", "b0"]

        tester.advance("10s")
        await tester.run_until_idle()
        assert ran[-1] == "a2"


async def test_running_until_empty_moves_the_clock_to_when_a_rate_lets_the_next_in() -> None:
    ran.clear()
    with Tester() as tester:
        began = tester.now
        for n in range(5):
            await call.enqueue("a", n)

        await tester.run_until_empty()

        assert ran == ["a0", "a1", "a2", "a3", "a4"]
        assert (tester.now - began).total_seconds() == 20


async def test_the_last_of_debounced_ones_runs_when_it_is_quiet() -> None:
    ran.clear()
    with Tester() as tester:
        for n in range(3):
            await refresh.options(unique="r", debounce="5s").enqueue(n)
            tester.advance("4s")
        await tester.run_until_idle()
        assert ran == []

        tester.advance("1s")
        await tester.run_until_idle()
        assert ran == ["refresh2"]
