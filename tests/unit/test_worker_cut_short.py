"""A stop or a cancellation that meets a task while it waits for something before its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from ferryman_worker.acker import Acker
from ferryman_worker.counters import Counters
from ferryman_worker.cut_short import CutShort
from ferryman_worker.pool import Pool
from ferryman_worker.slot import Slot

from ferryman.protocol import Delivery


@pytest.mark.parametrize(
    ("how", "stopped", "cancelled", "given_back"),
    [
        (Slot.stop, 1, 0, 0),
        (Slot.cancel, 0, 1, 0),
        (lambda slot: (slot.cancel(), slot.stop()), 1, 0, 0),
        (lambda slot: slot.task.cancel(), 0, 0, 1),
    ],
    ids=["a stop", "a cancellation", "both: the stop is first", "somebody who may not"],
)
async def test_a_wait_before_a_run_is_cut_short(
    how: Callable[[Slot], object], stopped: int, cancelled: int, given_back: int
) -> None:
    counters = Counters("q")
    counters.know("note")
    acker = Acker(counters)
    cut_short = CutShort(acker, lambda delivery: {})
    waits: list[Slot] = []
    outcomes: list[object] = []

    async def process(slot: Slot, delivery: Delivery) -> None:
        waits.append(slot)
        outcomes.append(await cut_short.unless(slot, delivery, asyncio.get_running_loop().create_future()))

    pool = cut_short.pool = Pool(1, process, lambda: None)
    pool.put([Delivery("a", "note", b"{}", b"", 1, 7, 0, 0, False, 0, 0)])
    async with asyncio.timeout(10):
        while not waits:
            await asyncio.sleep(0)
        how(waits[0])
        while pool.running:
            await asyncio.sleep(0)
    assert outcomes == [None]
    assert len(pool.take_stopped()) == stopped
    assert (counters.of("note").cancelled, counters.of("note").requeued) == (cancelled, given_back)
    assert list(acker.held()) == [("a", 7)] * (cancelled + given_back)
    assert not waits[0].task.done(), "the slot goes on"
    await pool.close()


async def test_what_a_wait_brings_is_brought() -> None:
    brought: list[object] = []
    cut_short = CutShort(Acker(Counters("q")), lambda delivery: {})

    async def process(slot: Slot, delivery: Delivery) -> None:
        brought.append(await cut_short.unless(slot, delivery, asyncio.sleep(0, "it")))

    pool = Pool(1, process, lambda: None)
    pool.put([Delivery("a", "note", b"{}", b"", 1, 1, 0, 0, False, 0, 0)])
    async with asyncio.timeout(10):
        while not brought:
            await asyncio.sleep(0)
    assert brought == ["it"]
    await pool.close()
