"""What was fetched ahead and does not get its turn is noticed by what starts, not by its age."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from ferryman_worker.pool import Pool
from ferryman_worker.stall import Stall


@dataclass
class Line:
    """As much of a pool as is looked at; each look at `started` may find that one more has."""

    ahead: int
    started: int = 0


async def stalls(line: Line, starts: int) -> list[int]:
    """What had started at each stall; before each of the first `starts` looks one starts."""
    seen: list[int] = []

    def stalled() -> None:
        seen.append(line.started)
        line.ahead = 0

    stall = Stall(cast(Pool, line), stalled)
    stall.watch()
    look = stall._look

    def looks() -> None:
        nonlocal starts
        if starts:
            starts -= 1
            line.started += 1
        look()

    async with asyncio.timeout(20):
        while line.ahead:
            assert stall._timer is not None
            stall._timer.cancel()  # its look is made now: nothing here depends on how fast this machine is
            looks()
            await asyncio.sleep(0)
    assert stall._timer is None, "it does not look on when nothing waits"
    return seen


async def test_the_second_look_without_a_start_finds_a_stall() -> None:
    assert await stalls(Line(ahead=5), starts=0) == [0]


async def test_what_goes_on_starting_is_no_stall_until_it_ends() -> None:
    assert await stalls(Line(ahead=5), starts=7) == [7]


async def test_nothing_is_watched_when_nothing_waits() -> None:
    assert await stalls(Line(ahead=0), starts=0) == []
