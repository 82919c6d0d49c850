"""progress: what a handler says of how far it has come, written only by the worker that holds the task."""

from __future__ import annotations

from ferryman_bench import Bench

from ferryman.protocol import Completion, Step

WORD = b'{"done":3,"total":10,"note":"three"}'


async def test_progress_is_kept_with_the_task_and_after_its_end(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    assert await bench.run(bench.workers.progress("w", [Step("t", 1, WORD)])) == 1
    await bench.run(bench.broker.complete("w", [Completion("t", 1)]))

    task = await bench.run(bench.inspector.get("t"))
    assert task is not None
    assert (task.progress, task.progress_ms > 0) == (WORD, True)


async def test_a_stranger_and_a_run_that_is_over_write_nothing(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    before = await bench.snapshot()
    assert await bench.run(bench.workers.progress("other", [Step("t", 1, WORD)])) == 0
    assert await bench.run(bench.workers.progress("w", [Step("t", 2, WORD), Step("nobody", 1, WORD)])) == 0
    assert await bench.snapshot() == before
