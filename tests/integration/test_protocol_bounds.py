"""What a call costs Redis depends on its limit alone, whatever lies in the queue."""

from __future__ import annotations

from typing import Any

from ferryman_bench import Bench

from ferryman.call import Call, command
from ferryman.inspector import COUNTED_WORKERS
from ferryman.task import TaskState

#: A deadline that no test comes to see.
TOMORROW_MS = 9_000_000_000_000


async def commands_of(bench: Bench, call: Call[Any]) -> int:
    """How many commands the server ran for it."""
    await bench.write("CONFIG", "RESETSTAT")
    await bench.run(call)
    stats = await bench.run(command("INFO", "commandstats", read=dict))
    return sum(row["calls"] for name, row in stats.items() if not name.startswith("cmdstat_config"))


async def lists_read(bench: Bench, call: Call[Any]) -> int:
    """How many LRANGE were among them."""
    await commands_of(bench, call)
    stats = await bench.run(command("INFO", "commandstats", read=dict))
    return int(stats.get("cmdstat_lrange", {"calls": 0})["calls"])


async def crowd(bench: Bench, count: int, deadline_ms: int = 1) -> None:
    """So many idle workers, silent for long or to be heard of tomorrow."""
    words = (word for n in range(count) for word in (deadline_ms, f"idle-{n:05}"))
    await bench.write("ZADD", bench.keys.workers, *words)


async def test_stats_passes_over_a_bounded_number_of_ghosts(real_bench: Bench) -> None:
    ids = [f"t{n}" for n in range(500)]
    await real_bench.enqueue(*ids)
    await real_bench.enqueue("alive")
    for id in ids:
        await real_bench.run(real_bench.broker.cancel(id))

    assert await commands_of(real_bench, real_bench.inspector.stats()) < 60
    assert (await real_bench.stats()).waiting == 1


async def test_stats_counts_the_lists_of_a_bounded_number_of_workers(real_bench: Bench) -> None:
    await crowd(real_bench, COUNTED_WORKERS)
    assert COUNTED_WORKERS <= await commands_of(real_bench, real_bench.inspector.stats()) < COUNTED_WORKERS + 60

    await crowd(real_bench, 5_000, deadline_ms=TOMORROW_MS)
    assert await commands_of(real_bench, real_bench.inspector.stats()) < 60
    assert await commands_of(real_bench, real_bench.inspector.stats(exact=True)) > 5_000

    await crowd(real_bench, 5_000)
    assert await commands_of(real_bench, real_bench.inspector.stats()) < COUNTED_WORKERS + 60


async def test_a_step_through_active_tasks_reads_the_lists_of_a_bounded_number_of_workers(real_bench: Bench) -> None:
    await crowd(real_bench, 5_000)

    assert 400 < await commands_of(real_bench, real_bench.inspector.page(TaskState.ACTIVE)) < 600


async def test_a_page_that_priorities_fill_reads_no_list(real_bench: Bench) -> None:
    await real_bench.enqueue(*(f"t{n}" for n in range(30)), priority=1)
    await real_bench.enqueue(*(f"plain{n}" for n in range(30)))

    first = real_bench.inspector.page(TaskState.WAITING, limit=10)
    middle = real_bench.inspector.page(TaskState.WAITING, limit=10, offset=10)
    last = real_bench.inspector.page(TaskState.WAITING, limit=10, offset=25)
    assert [await lists_read(real_bench, page) for page in (first, middle, last)] == [0, 0, 2]


async def test_a_page_of_tasks_costs_no_more_than_its_length(real_bench: Bench) -> None:
    await real_bench.enqueue(*(f"t{n}" for n in range(500)))

    assert await commands_of(real_bench, real_bench.inspector.page(TaskState.WAITING, limit=10)) < 40
