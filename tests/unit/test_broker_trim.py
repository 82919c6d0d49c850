"""trim: completed statuses and dead tasks past their retention are forgotten, in bounded steps."""

from __future__ import annotations

from ferryman_bench import Bench

from ferryman.protocol import Trimmed


async def test_completed_statuses_go_after_their_time(bench: Bench) -> None:
    await bench.finish("old")
    await bench.clock.advance(3_600_000)
    await bench.finish("new")

    async with bench.changes() as changes:
        assert await bench.run(bench.broker.trim()) == Trimmed(completed=1, dead=0)

    assert changes == {"task:old": None, "completed": ["new"]}
    assert (await bench.stats()).completed == 2


async def test_completed_statuses_go_over_their_number(bench: Bench) -> None:
    for id in "abc":
        await bench.finish(id)
        await bench.clock.advance(5)
    await bench.run(bench.policy.write({"completed_max": 1}, 1))

    assert await bench.run(bench.broker.trim()) == Trimmed(completed=2, dead=0)
    assert (await bench.snapshot())["completed"] == ["c"]


async def test_dead_tasks_go_after_thirty_days_and_count_as_discarded(bench: Bench) -> None:
    await bench.bury("old")
    await bench.clock.advance(2_592_000_000)
    await bench.bury("new")

    async with bench.changes() as changes:
        assert await bench.run(bench.broker.trim()) == Trimmed(completed=0, dead=1)

    assert changes == {"task:old": None, "dead": ["new"], "stats": {"discarded": "1"}}


async def test_a_trim_is_bounded(bench: Bench) -> None:
    await bench.finish(*"abcde")
    await bench.bury(*"vwxyz")
    await bench.clock.advance(2_592_000_001)

    trims = [await bench.run(bench.broker.trim(limit=3)) for _ in range(3)]

    assert trims == [Trimmed(3, 3), Trimmed(2, 2), Trimmed(0, 0)]
    assert (await bench.snapshot()).keys() == {"config", "stats"}


async def test_nothing_over_changes_nothing(bench: Bench) -> None:
    await bench.finish("a")
    await bench.bury("b")

    async with bench.changes() as changes:
        assert await bench.run(bench.broker.trim()) == Trimmed(0, 0)
    assert changes == {}
