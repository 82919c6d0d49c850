"""One clock: Redis' own for what is stored, the monotonic one for durations. Machines may differ by days."""

from __future__ import annotations

import time
from typing import Any

import pytest
from ferryman_bench import Bench
from ferryman_scheduler.one_pass import Summaries
from ferryman_scheduler.promoter import Promoter
from ferryman_worker.board import Board, mono_ms

from ferryman.call import command
from ferryman.protocol import Completion

DAY_MS = 86_400_000


@pytest.fixture
async def ahead(fake_bench: Bench, frozen_clock: Any) -> Bench:
    """A queue on a Redis whose clock is a day ahead of this machine's."""
    frozen_clock.now_ms += DAY_MS
    return fake_bench


async def test_a_delay_counts_from_redis_clock_whatever_the_producers_says(ahead: Bench, frozen_clock: Any) -> None:
    await ahead.enqueue("t", delay_ms=5_000)

    stats = await ahead.stats()
    assert (stats.delayed, stats.next_due_ms) == (1, frozen_clock.now_ms + 5_000)


async def test_the_promoter_wakes_by_redis_clock_whatever_its_own_says(ahead: Bench) -> None:
    await ahead.enqueue("t", delay_ms=50)

    visit = await Promoter(Summaries(["bench"])).visit(ahead.link, ["bench"])
    assert visit.pauses_s == {"bench": pytest.approx(0.05)}


async def test_a_promise_counts_from_redis_now(ahead: Bench, frozen_clock: Any) -> None:
    await ahead.register("w", timeout_ms=15_000)
    await frozen_clock.advance(14_000)
    await ahead.run(ahead.workers.beat("w", 15_000))

    [row] = await ahead.run(ahead.workers.list())
    assert row.deadline_ms == frozen_clock.now_ms + 15_000


@pytest.mark.parametrize("ms", [0, 7, 70, 700, 999])
@pytest.mark.parametrize("delay_ms", [0, 1])
async def test_a_task_is_enqueued_at_the_millisecond_however_early_in_its_second(
    fake_bench: Bench, frozen_clock: Any, ms: int, delay_ms: int
) -> None:
    frozen_clock.now_ms += 1_000 - frozen_clock.now_ms % 1_000 + ms
    seconds, micros = await fake_bench.run(command("TIME", read=lambda reply: map(int, reply)))

    await fake_bench.enqueue("t", delay_ms=delay_ms)

    task = await fake_bench.run(fake_bench.inspector.get("t"))
    assert task is not None
    assert (task.enqueued_ms, task.since_ms) == (seconds * 1_000 + micros // 1_000,) * 2


async def test_every_moment_that_a_script_writes_is_redis_own(ahead: Bench, frozen_clock: Any) -> None:
    now = frozen_clock.now_ms
    [done, failed, dead] = await ahead.hold_active("w", "done", "failed", "dead")
    await ahead.run(ahead.broker.complete("w", [Completion("done", done.token)]))
    await ahead.run(ahead.broker.retry("w", "failed", failed.token, delay_ms=700))
    await ahead.run(ahead.broker.dead_letter("w", "dead", dead.token, error="no"))

    tasks = {id: await ahead.run(ahead.inspector.get(id)) for id in ("done", "failed", "dead")}
    assert {id: task.enqueued_ms for id, task in tasks.items() if task} == dict.fromkeys(tasks, now)
    assert tasks["done"]
    assert tasks["dead"]
    assert tasks["failed"]
    assert (tasks["done"].finished_ms, tasks["dead"].finished_ms, tasks["failed"].run_at_ms) == (now, now, now + 700)


def test_a_clock_that_is_set_forward_hangs_no_worker_and_breaks_no_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board()
    board.announce("w", 15_000, mono_ms() + 15_000)
    later_ns, later_s = time.time_ns() + DAY_MS * 1_000_000, time.time() + DAY_MS / 1_000
    monkeypatch.setattr(time, "time_ns", lambda: later_ns)
    monkeypatch.setattr(time, "time", lambda: later_s)

    assert board.stalled_ms < DAY_MS / 2
    assert mono_ms() < board.promised_ms
