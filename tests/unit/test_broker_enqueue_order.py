"""The order of a batch: tasks go to the back of waiting one after another, however few commands that takes."""

from __future__ import annotations

from ferryman_bench import Bench

from ferryman.new_task import NewTask


def task(id: str, priority: int = 0, delay_ms: int = 0) -> NewTask:
    return NewTask(id, "echo", b"{}", priority=priority, delay_ms=delay_ms)


async def waiting(bench: Bench) -> list[str]:
    """The ids and markers in waiting, the front first."""
    entries: list[str] = (await bench.snapshot())["waiting"]
    return entries


async def test_a_marker_to_the_back_keeps_its_place_among_the_tasks_of_its_batch(bench: Bench) -> None:
    batch = [task("a"), task("b"), task("last", priority=-1), task("c"), task("later", delay_ms=60_000), task("d")]

    await bench.run(bench.broker.enqueue(batch))

    assert await waiting(bench) == ["a", "b", "*", "c", "d"]


async def test_a_marker_to_the_front_passes_the_tasks_of_its_batch(bench: Bench) -> None:
    await bench.run(bench.broker.enqueue([task("a"), task("first", priority=1), task("b")]))

    assert await waiting(bench) == ["*", "a", "b"]


async def test_a_batch_of_many_keeps_its_order_and_loses_none(bench: Bench) -> None:
    ids = [f"t{number}" for number in range(455)]

    await bench.run(bench.broker.enqueue([task(id) for id in ids]))

    assert await waiting(bench) == ids
    assert (await bench.stats()).unaccounted == 0


async def test_only_a_batch_with_a_priority_moves_the_sequence_on(bench: Bench) -> None:
    await bench.run(bench.broker.enqueue([task("a"), task("b")]))
    assert "sequence" not in (await bench.snapshot())["stats"]

    await bench.run(bench.broker.enqueue([task("c", priority=1), task("d", priority=1), task("e")]))
    assert (await bench.snapshot())["stats"]["sequence"] == "2"
