"""A list of tasks is collected in short steps, whatever stands before it: idle workers, markers, cancelled tasks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ferryman_bench import Bench

from ferryman import overview
from ferryman.overview import Listing, tasks_in
from ferryman.plan import run_plan_async
from ferryman.task import TaskState

#: Of how many workers one step reads the lists.
WORKERS_A_STEP = 500


async def listed(bench: Bench, state: TaskState, limit: int = 100, offset: int = 0) -> Listing:
    return await run_plan_async(bench.link, tasks_in(bench.name, state, limit, offset))


def ids(listing: Listing) -> list[str]:
    return [task.id for task in listing.tasks]


async def idle_workers(bench: Bench, count: int, deadline_ms: int) -> None:
    words = [word for n in range(count) for word in (deadline_ms, f"idle-{n:05}")]
    await bench.write("ZADD", bench.keys.workers, *words)


@pytest.mark.parametrize("deadline_ms", [0, 1], ids=["declared dead", "silent"])
async def test_active_tasks_behind_a_thousand_idle_workers_are_found(bench: Bench, deadline_ms: int) -> None:
    await idle_workers(bench, 2 * WORKERS_A_STEP + 1, deadline_ms)
    await bench.hold_active("busy", "a", "b", "c")

    first = await bench.run(bench.inspector.page(TaskState.ACTIVE))
    assert (first.tasks, first.taken, bool(first.place)) == ([], 0, True)

    assert sorted(ids(await listed(bench, TaskState.ACTIVE))) == ["a", "b", "c"]
    assert (await listed(bench, TaskState.ACTIVE)).next_offset is None


@pytest.mark.parametrize("workers", [WORKERS_A_STEP - 1, WORKERS_A_STEP, WORKERS_A_STEP + 1])
async def test_a_walk_over_idle_workers_ends(bench: Bench, workers: int) -> None:
    await idle_workers(bench, workers, 1)

    assert await listed(bench, TaskState.ACTIVE) == Listing([], None)


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
async def test_pages_of_what_many_workers_hold_show_each_task_once(bench: Bench, limit: int) -> None:
    for worker in ("w1", "w2", "w3"):
        await bench.hold_active(worker, *(f"{worker}-{n}" for n in range(5)))

    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = await listed(bench, TaskState.ACTIVE, limit, offset)
        found, offset = [*found, *ids(page)], page.next_offset

    assert sorted(found) == sorted(f"{worker}-{n}" for worker in ("w1", "w2", "w3") for n in range(5))


async def test_a_long_list_of_one_worker_is_read_on(bench: Bench) -> None:
    names = [f"t{n:03}" for n in range(250)]
    await bench.hold_active("w", *names)

    page = await listed(bench, TaskState.ACTIVE, limit=220, offset=10)
    assert (sorted(ids(page)), page.next_offset) == (names[20:240], 230)


async def test_who_beats_in_the_middle_of_a_walk_is_neither_left_out_nor_shown_twice(bench: Bench) -> None:
    """The worker whose list was half read, and one behind it, move to the end meanwhile."""
    for worker in ("w1", "w2", "w3"):
        await bench.hold_active(worker, *(f"{worker}-{n}" for n in range(60)))
        await bench.clock.advance(10)

    walk = tasks_in(bench.name, TaskState.ACTIVE, 200)
    calls = next(walk)  # a hundred: all of w1, and a part of w2
    replies = [await bench.run(call) for call in calls]
    for worker in ("w2", "w1"):
        await bench.run(bench.workers.beat(worker, 15_000))
        await bench.clock.advance(10)
    listing = await _to_its_end(bench, walk, replies)

    assert sorted(ids(listing)) == sorted(f"{worker}-{n}" for worker in ("w1", "w2", "w3") for n in range(60))


async def _to_its_end(bench: Bench, walk: Iterator[object], replies: list[object]) -> Listing:
    while True:
        try:
            calls = walk.send(replies)  # type: ignore[attr-defined]
        except StopIteration as stop:
            listing: Listing = stop.value
            return listing
        replies = [await bench.run(call) for call in calls]


async def test_tasks_behind_ten_thousand_markers_are_found(bench: Bench) -> None:
    """Markers whose tasks are gone, and whom nobody has come across yet."""
    await bench.enqueue("a", "b", "c")
    await bench.enqueue("urgent", priority=1)
    await bench.write("RPUSH", bench.keys.waiting, *["*"] * 10_000)
    await bench.write("HINCRBY", bench.keys.stats, "ghosts", 10_000)

    first = await bench.run(bench.inspector.page(TaskState.WAITING))
    assert ([task.id for task in first.tasks], bool(first.place)) == (["urgent"], True)

    assert ids(await listed(bench, TaskState.WAITING)) == ["urgent", "a", "b", "c"]
    assert ids(await listed(bench, TaskState.WAITING, limit=2, offset=2)) == ["b", "c"]


async def test_a_page_is_full_though_tasks_in_it_were_cancelled(bench: Bench) -> None:
    await bench.enqueue("a", "b", "c", "d")
    for id in ("a", "c"):
        await bench.run(bench.broker.cancel(id))

    first = await listed(bench, TaskState.WAITING, limit=1)
    assert (ids(first), first.next_offset) == (["b"], 2)
    second = await listed(bench, TaskState.WAITING, limit=1, offset=2)
    assert (ids(second), second.next_offset) == (["d"], 4)
    assert await listed(bench, TaskState.WAITING, limit=1, offset=4) == Listing([], None)


async def test_a_walk_that_finds_nothing_for_long_says_where_to_go_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_STEPS_AT_MOST", 2)
    cancelled = [f"t{n}" for n in range(210)]
    await bench.enqueue(*cancelled, "alive")
    await bench.link.run_all([bench.broker.cancel(id) for id in cancelled])

    assert await listed(bench, TaskState.WAITING) == Listing([], 200)
    assert ids(await listed(bench, TaskState.WAITING, offset=200)) == ["alive"]


@pytest.mark.parametrize("state", [TaskState.WAITING, TaskState.DELAYED])
async def test_an_offset_behind_the_last_task_finds_nothing(bench: Bench, state: TaskState) -> None:
    await bench.enqueue("a", "b", delay_ms=60_000 if state is TaskState.DELAYED else 0)

    assert await listed(bench, state, offset=5) == Listing([], None)
    assert len((await listed(bench, state, limit=250)).tasks) == 2


async def test_more_tasks_than_a_step_reads_come_in_their_order(bench: Bench) -> None:
    names = [f"t{n:03}" for n in range(250)]
    await bench.enqueue(*names)

    page = await listed(bench, TaskState.WAITING, limit=220, offset=10)
    assert (ids(page), page.next_offset) == (names[10:230], 230)
