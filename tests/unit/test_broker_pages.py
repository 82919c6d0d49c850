"""Pages of tasks: whatever their size, one after the other they show each task once, whose turn is next first."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.task import TaskState


async def pages(bench: Bench, state: TaskState, limit: int, count: int) -> list[str]:
    """All ids, page by page; the page behind the last one is empty."""
    found: list[str] = []
    for offset in range(0, count, limit):
        found += [task.id for task in (await bench.run(bench.inspector.page(state, limit, offset))).tasks]
    assert (await bench.run(bench.inspector.page(state, limit, offset=count))).tasks == []
    return found


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_of_waiting_tasks_without_priorities(bench: Bench, limit: int) -> None:
    ids = [f"t{n}" for n in range(10)]
    await bench.enqueue(*ids)
    for _ in range(2):
        await bench.hand()

    found = await pages(bench, TaskState.WAITING, limit, 10)
    assert (sorted(found[:2]), found[2:]) == (ids[:2], ids[2:])


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_pages_of_waiting_tasks_with_priorities(bench: Bench, limit: int) -> None:
    """Their markers stand at both ends of the line and are no tasks."""
    await bench.enqueue("a", "b", "c", "d")
    await bench.enqueue("urgent-1", "urgent-2", "urgent-3", priority=3)
    await bench.enqueue("patient", priority=-1)

    ranked = ["urgent-1", "urgent-2", "urgent-3", "patient"]
    assert await pages(bench, TaskState.WAITING, limit, 8) == [*ranked, "a", "b", "c", "d"]


@pytest.mark.parametrize("limit", [1, 2, 4, 7, 100])
async def test_pages_of_active_tasks_go_from_worker_to_worker(bench: Bench, limit: int) -> None:
    for worker in ("w1", "w2", "w3"):
        await bench.hold_active(worker, *(f"{worker}-{n}" for n in range(5)))

    found = await pages(bench, TaskState.ACTIVE, limit, 15)
    assert sorted(found) == sorted(f"{worker}-{n}" for worker in ("w1", "w2", "w3") for n in range(5))


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_pages_of_sets(bench: Bench, limit: int) -> None:
    for n in range(5):
        await bench.enqueue(f"later-{n}", delay_ms=60_000 + n)

    assert await pages(bench, TaskState.DELAYED, limit, 5) == [f"later-{n}" for n in range(5)]
