"""The janitor's round of the lanes: damage is repaired there, and changed limits take effect."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.lane_figures import read_lanes
from ferryman.terms import Terms

LANE = Terms(lane="a").encode()


async def fill(bench: Bench, count: int, most: int) -> None:
    await bench.run(bench.policy.write({"lane_concurrency": most}, 1))
    await bench.register("w")
    await bench.enqueue(*(f"a-{n}" for n in range(count)), terms=LANE)


async def mend(bench: Bench) -> int:
    return (await bench.run(bench.broker.mend_lanes())).count


async def test_a_sound_queue_is_left_as_it_is(bench: Bench) -> None:
    await fill(bench, 5, 2)
    await bench.fetch("w", 10)

    async with bench.changes() as changes:
        assert await mend(bench) == 0
    assert changes == {}


async def test_a_place_that_nobody_needs_is_given_back(bench: Bench) -> None:
    await fill(bench, 3, 1)
    await bench.fetch("w", 10)
    await bench.write("ZADD", bench.keys.places("a"), 1, "never-was")
    await bench.write("ZREM", bench.keys.places("a"), "a-0")
    await bench.write("ZADD", bench.keys.places("a"), 0, "a-0")

    assert await mend(bench) == 2
    [row] = (await bench.run(read_lanes(bench.name))).busiest
    assert (row.running, row.waiting, row.blocked) == (1, 0, 2)


@pytest.mark.damages
async def test_a_blocked_task_that_its_lane_has_lost_stands_there_again(bench: Bench) -> None:
    await fill(bench, 3, 1)
    await bench.write("DEL", bench.keys.lane("a"))

    assert await mend(bench) == 2
    taken = []
    for _ in range(3):
        for held in await bench.fetch("w", 10):
            taken.append(held.id)
            await bench.run(bench.broker.dead_letter("w", held.id, held.token, error="done"))
    assert sorted(taken) == ["a-0", "a-1", "a-2"]


async def test_a_limit_that_was_raised_lets_more_in(bench: Bench) -> None:
    await fill(bench, 6, 1)
    await bench.run(bench.policy.write({"lane_concurrency": 4}, 2))

    await mend(bench)
    assert (await bench.stats()).waiting == 4


async def test_a_rate_that_was_taken_away_lets_all_go(bench: Bench) -> None:
    await bench.run(bench.policy.write({"rate_count": 1, "rate_ms": 60_000}, 1))
    await bench.register("w")
    await bench.enqueue(*(f"t-{n}" for n in range(250)))
    assert (await bench.stats()).blocked == 249
    await bench.run(bench.policy.write({"rate_count": 0}, 2))

    await mend(bench)
    for _ in range(5):
        await bench.run(bench.broker.promote())
    assert (await bench.stats()).waiting == 250


async def test_lanes_go_page_by_page(bench: Bench) -> None:
    for n in range(5):
        await bench.enqueue(f"t-{n}", f"u-{n}", terms=Terms(lane=f"lane-{n}").encode())

    first = await bench.run(bench.broker.mend_lanes(2))
    second = await bench.run(bench.broker.mend_lanes(2, first.lanes, first.blocked))
    third = await bench.run(bench.broker.mend_lanes(2, second.lanes, second.blocked))

    assert [first.lanes, second.lanes, third.lanes] == [2, 4, -1]
    assert first.blocked == -1


async def test_figures_say_what_a_lane_waits_for(bench: Bench) -> None:
    await fill(bench, 4, 2)
    await bench.fetch("w", 1)
    figures = await bench.run(read_lanes(bench.name))

    assert (figures.lanes, figures.held_back) == (1, 1)
    [row] = figures.busiest
    assert (row.lane, row.blocked, row.waiting, row.running) == ("a", 2, 1, 1)
    assert row.waits_for == "a place: 2 at once"
    assert (await bench.stats()).lanes_held_back == 1


async def test_figures_say_when_a_rate_lets_the_next_in(bench: Bench) -> None:
    await bench.run(bench.policy.write({"lane_rate_count": 1, "lane_rate_ms": 30_000}, 1))
    await bench.register("w")
    await bench.enqueue("a-0", "a-1", terms=LANE)
    await bench.fetch("w", 10)

    [row] = (await bench.run(read_lanes(bench.name))).busiest
    assert row.waits_for.startswith("its rate, 1 per 30 s: next in ")
    assert row.next_in_ms is not None
    assert 20_000 < row.next_in_ms <= 30_000


async def test_ready_counts_those_that_only_want_for_workers(bench: Bench) -> None:
    await bench.enqueue(*(f"a-{n}" for n in range(50)), terms=LANE)
    stats = await bench.stats()
    assert (stats.waiting, stats.blocked, stats.ready, stats.lanes_held_back) == (10, 40, 40, 0)

    await bench.run(bench.policy.write({"lane_concurrency": 15}, 1))
    await mend(bench)
    stats = await bench.stats()
    assert (stats.waiting, stats.blocked, stats.ready) == (10, 40, 5)
