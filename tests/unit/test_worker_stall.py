"""What was fetched ahead and does not get its turn is noticed by what starts, not by its age."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest
from ferryman_worker.pool import Pool
from ferryman_worker.slot import Slot
from ferryman_worker.stall import LOOK_EVERY_S, Stall, stuck

from ferryman.protocol import Delivery


@dataclass
class Line:
    """As much of a pool as is looked at."""

    ahead: int
    started: int = 0

    def take(self, first: int, last: int) -> None:
        assert 0 <= first < last <= self.ahead
        self.ahead -= last - first


async def stalls(line: Line, *looks: tuple[int, int]) -> list[tuple[int, int]]:
    """The places that were stuck at each stall; before a look so many (start, come), and then nothing does."""
    seen: list[tuple[int, int]] = []
    coming = list(looks)

    def stalled(first: int, last: int) -> None:
        seen.append((first, last))
        line.take(first, last)

    stall = Stall(cast(Pool, line), stalled)
    stall.watch()
    async with asyncio.timeout(20):
        while line.ahead:
            assert stall._timer is not None
            stall._timer.cancel()  # its look is made now: nothing here depends on how fast this machine is
            stall._looked_s = asyncio.get_running_loop().time() - LOOK_EVERY_S
            starts, come = coming.pop(0) if coming else (0, 0)
            line.started += starts
            line.ahead += come - starts
            stall._look()
            await asyncio.sleep(0)
    assert stall._timer is None, "it does not look on when nothing waits"
    return seen


async def test_the_second_look_without_a_start_finds_that_all_are_stuck() -> None:
    assert await stalls(Line(ahead=5)) == [(0, 5)]


async def test_what_goes_on_starting_in_time_is_not_stuck() -> None:
    assert await stalls(Line(ahead=5), (5, 4), (4, 3), (3, 0)) == []


async def test_what_came_since_the_last_look_has_its_own_time() -> None:
    assert await stalls(Line(ahead=2), (0, 3)) == [(0, 2), (0, 3)]


async def test_of_a_line_that_moves_slowly_those_go_back_whose_turn_is_far() -> None:
    assert await stalls(Line(ahead=100), (4, 0), (2, 0)) == [(2, 96)]


async def test_nothing_is_watched_when_nothing_waits() -> None:
    assert await stalls(Line(ahead=0)) == []


@pytest.mark.parametrize(
    ("ahead", "started", "since_s", "expected"),
    [
        (10, 0, 0.02, (0, 10)),
        (10, 1, 0.02, (0, 9)),
        (100, 20, 0.02, (10, 80)),
        (100, 20, 0.09, (0, 0)),
        (10, 0, 0.09, (0, 10)),
    ],
    ids=["nothing starts", "one starts", "some start", "the machine was away", "or a task kept the loop"],
)
def test_which_places_are_stuck(ahead: int, started: int, since_s: float, expected: tuple[int, int]) -> None:
    assert stuck(ahead, started, since_s) == expected


def test_a_line_that_has_moved_past_all_that_waited_is_not_stuck() -> None:
    first, last = stuck(10, 40, LOOK_EVERY_S)
    assert first >= last


async def test_the_places_that_are_stuck_are_taken_out_of_the_pool_s_line_in_order() -> None:
    async def process(slot: Slot, delivery: Delivery) -> None: ...

    pool = Pool(1, process, lambda: None)
    pool.put(Delivery(f"t{n}", "note", b"{}", b"", 1, 1, 0, 0, False, 0, 0) for n in range(6))
    assert [delivery.id for delivery in pool.take_stuck(1, 4)] == ["t1", "t2", "t3"]
    assert [delivery.id for delivery in pool.take_stale(0.0)] == ["t0", "t4", "t5"]
    await pool.close()
