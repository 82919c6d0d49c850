"""The hand-over of a worker that dies, or loses the reply, between BLMOVE and fetch."""

from __future__ import annotations

from ferryman_bench import Bench


async def test_what_was_handed_to_nobody_still_waits_and_comes_back(bench: Bench) -> None:
    await bench.enqueue("t", "next")
    assert await bench.run(bench.broker.hand_over(1)) == "t"
    # Here the worker dies, or its connection with the reply.
    assert (await bench.stats()).waiting == 2

    await bench.run(bench.broker.recover_handed())
    await bench.clock.advance(2_001)
    assert await bench.run(bench.broker.recover_handed()) == 1
    assert (await bench.snapshot())["waiting"] == ["t", "next"]


async def test_an_empty_queue_hands_nothing_over(bench: Bench) -> None:
    assert await bench.run(bench.broker.hand_over(0.01)) is None
    assert await bench.snapshot() == {}
