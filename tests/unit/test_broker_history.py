"""A task's history: each run that did not end well adds a line, within bounds; runs that end well cost nothing."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench import Bench

from ferryman.history import PastRun
from ferryman.protocol import Completion
from ferryman.task import Task


async def task(bench: Bench, id: str = "t") -> Task:
    found = await bench.run(bench.inspector.get(id))
    assert found is not None
    return found


async def fail(bench: Bench, error: str = "boom", *, spend: bool = True, run_ms: int = 0) -> None:
    """The next delivery fails, and waits again at once."""
    [held] = await bench.fetch("w")
    again = bench.broker.retry("w", held.id, held.token, delay_ms=0, error=error, spend=spend, run_ms=run_ms)
    await bench.run(again)
    await bench.run(bench.broker.promote())


def outcomes(of: Task) -> list[tuple[int, str, str]]:
    return [(run.attempt, run.outcome, run.error) for run in of.history]


async def test_every_way_to_end_badly_adds_a_line(bench: Bench) -> None:
    await bench.register("w")
    await bench.enqueue("t")
    await fail(bench, "ValueError: first\nTraceback of it")
    await fail(bench, "not yet", spend=False)
    [held] = await bench.fetch("w")
    await bench.run(bench.broker.crash("w", "t", held.token, reason="its process was killed by SIGKILL"))
    await bench.fetch("w")
    await bench.look_until_dead("w")
    await bench.register("v")
    [held] = await bench.fetch("v")
    await bench.run(bench.broker.dead_letter("v", "t", held.token, error="ValueError: last\nits traceback"))

    found = await task(bench)
    assert outcomes(found) == [
        (1, "retried", "ValueError: first"),
        (2, "retried", "not yet"),
        (2, "crashed", "its process was killed by SIGKILL"),
        (2, "crashed", "its worker fell silent"),
        (2, "dead", "ValueError: last"),
    ]
    assert [run.worker for run in found.history] == ["w", "w", "w", "w", "v"]
    assert found.error == "ValueError: last\nits traceback", "of the latest the whole text is kept"


async def test_the_end_of_a_crash_budget_is_written_down_as_dead(bench: Bench) -> None:
    await bench.run(bench.policy.write({"crashes_max": 1}, 1))
    [of_its_process] = await bench.hold_active("v", "p")
    await bench.run(bench.broker.crash("v", "p", of_its_process.token, reason="SIGSEGV"))
    await bench.hold_active("w", "t")
    await bench.look_until_dead("w")

    assert outcomes(await task(bench, "p")) == [(1, "dead", "SIGSEGV")]
    assert outcomes(await task(bench)) == [(1, "dead", "its worker fell silent")]


async def test_a_worker_s_end_that_charges_nobody_says_why(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.hint_gone("w", "evicted", exempt=True))
    await bench.look_until_dead("w")

    assert outcomes(await task(bench)) == [(1, "recovered", "its worker died: evicted")]


async def test_a_line_says_from_when_to_when_and_how_long_its_code_ran(fake_bench: Bench, frozen_clock: Any) -> None:
    await fake_bench.register("w")
    await fake_bench.enqueue("t")
    started_ms = frozen_clock.now_ms
    [held] = await fake_bench.fetch("w")
    await fake_bench.clock.advance(1_500)
    await fake_bench.run(fake_bench.broker.retry("w", "t", held.token, delay_ms=9, error="no", run_ms=1_234))

    assert (await task(fake_bench)).history == (
        PastRun(1, started_ms, started_ms + 1_500, 1_234, "retried", "w", "no"),
    )


async def test_of_many_runs_the_latest_ten_are_kept(bench: Bench) -> None:
    await bench.register("w")
    await bench.enqueue("t")
    for n in range(1, 15):
        await fail(bench, f"error {n}")

    assert [run.attempt for run in (await task(bench)).history] == list(range(5, 15))


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        ("one\ntwo", "one"),
        ("", ""),
        ('a "quote", a \\ and a\ttab', 'a "quote", a \\ and a tab'),
        ("a/b: Größe 你好", "a/b: Größe 你好"),
        ("x" * 1_000, "x" * 397 + "…"),
        ("你" * 1_000, "你" * 132 + "…"),
    ],
    ids=["first line", "empty", "JSON", "Unicode", "long", "long Unicode"],
)
async def test_an_error_is_kept_as_one_bounded_line(bench: Bench, error: str, kept: str) -> None:
    await bench.register("w")
    await bench.enqueue("t")
    await fail(bench, error)

    [run] = (await task(bench)).history
    assert run.error == kept
    assert len(run.error.encode()) <= 400


async def test_what_is_put_aside_or_given_back_was_no_run(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.requeue("w", [("t", held.token)]))
    [held] = await bench.fetch("w")
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=0, spend=False, error="unknown", park=True))

    assert "history" not in (await bench.snapshot())["task:t"]


async def test_a_run_that_ends_well_writes_none_and_leaves_what_is_there(bench: Bench) -> None:
    await bench.finish("untroubled")
    await bench.register("w")
    await bench.enqueue("t")
    await fail(bench)
    [held] = await bench.fetch("w")
    await bench.run(bench.broker.complete("w", [Completion("t", held.token)]))

    assert "history" not in (await bench.snapshot())["task:untroubled"]
    found = await task(bench)
    assert (found.state, outcomes(found)) == ("completed", [(1, "retried", "boom")])


async def test_a_revived_task_still_has_its_history(bench: Bench) -> None:
    await bench.bury("t", error="no")
    await bench.run(bench.broker.revive(["t"]))

    found = await task(bench)
    assert (found.attempt, outcomes(found)) == (0, [(1, "dead", "no")])


async def test_a_damaged_line_is_left_out_and_hinders_nobody(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.write("HSET", bench.keys.task + "t", "history", 'no JSON\n{"attempt":"x"}\n\xff')
    await bench.write("HSET", bench.keys.task + "t", "since_ms", "some day")
    await bench.run(bench.broker.dead_letter("w", "t", held.token, error="no"))

    assert outcomes(await task(bench)) == [(1, "dead", "no")]
