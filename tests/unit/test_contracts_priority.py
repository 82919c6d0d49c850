"""Whatever brings a task with a priority back to waiting brings its marker and its rank."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench


@pytest.mark.parametrize("how", ["requeue", "retry", "recover", "revive"])
async def test_a_task_with_a_priority_that_comes_back_has_its_marker_and_its_rank(bench: Bench, how: str) -> None:
    await bench.enqueue("urgent", "next", priority=4)
    await bench.register("w")
    [urgent] = await bench.fetch("w")
    await bench.enqueue("plain")

    if how == "requeue":
        await bench.run(bench.broker.requeue("w", [("urgent", urgent.token)]))
    elif how == "retry":
        await bench.run(bench.broker.retry("w", "urgent", urgent.token, delay_ms=0))
        await bench.run(bench.broker.promote())
    elif how == "recover":
        await bench.look_until_dead("w")
    else:
        await bench.run(bench.broker.dead_letter("w", "urgent", urgent.token, error="no"))
        await bench.run(bench.broker.revive(["urgent"]))

    seen = await bench.snapshot()
    assert (seen["waiting"], seen["priority"]) == (["*", "*", "plain"], ["urgent", "next"])
