"""What a call costs Redis depends on its limit alone, whatever lies in the queue."""

from __future__ import annotations

from typing import Any

from ferryman_bench import Bench

from ferryman.call import Call, command
from ferryman.task import TaskState


async def commands_of(bench: Bench, call: Call[Any]) -> int:
    """How many commands the server ran for it."""
    await bench.write("CONFIG", "RESETSTAT")
    await bench.run(call)
    stats = await bench.run(command("INFO", "commandstats", read=dict))
    return sum(row["calls"] for name, row in stats.items() if not name.startswith("cmdstat_config"))


async def test_stats_passes_over_a_bounded_number_of_ghosts(real_bench: Bench) -> None:
    ids = [f"t{n}" for n in range(500)]
    await real_bench.enqueue(*ids)
    await real_bench.enqueue("alive")
    for id in ids:
        await real_bench.run(real_bench.broker.cancel(id))

    assert await commands_of(real_bench, real_bench.inspector.stats()) < 60
    assert (await real_bench.stats()).waiting == 1


async def test_a_page_of_tasks_costs_no_more_than_its_length(real_bench: Bench) -> None:
    await real_bench.enqueue(*(f"t{n}" for n in range(500)))

    assert await commands_of(real_bench, real_bench.inspector.tasks(TaskState.WAITING, limit=10)) < 40
