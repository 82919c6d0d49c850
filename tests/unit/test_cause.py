"""Why tasks were taken back: every reason that is given today has its cause, and any other text is one of few."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.cause import CONTAINER_RESTARTED, POD_DELETED, RESIGNED, Cause, cause_of


@pytest.mark.parametrize(
    ("reason", "exempt", "cause"),
    [
        ("heartbeat", False, Cause.DEADLINE),
        (CONTAINER_RESTARTED, False, Cause.RESTARTED),
        ("OOMKilled, exit code 137", False, Cause.OOM_KILLED),
        ("OOMKilled, exit code 137", True, Cause.OOM_KILLED),
        ("Error, exit code 1", False, Cause.EXITED),
        ("Completed, exit code 0", False, Cause.EXITED),
        ("Error, exit code 143", True, Cause.DISRUPTED),
        (POD_DELETED, False, Cause.POD_DELETED),
        (POD_DELETED, True, Cause.POD_DELETED),
        (f"{RESIGNED}its code can't be stopped", True, Cause.RESIGNED),
        ("a person said so", False, Cause.OTHER),
        ("", False, Cause.OTHER),
    ],
)
def test_a_reason_has_a_cause(reason: str, exempt: bool, cause: Cause) -> None:
    assert cause_of(reason, exempt) is cause


async def test_who_dies_in_silence_died_of_its_deadline(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    assert await look_until_dead(bench, "w") is Cause.DEADLINE


async def test_a_hint_says_what_it_was(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.hint_gone("w", "OOMKilled, exit code 137"))
    assert await look_until_dead(bench, "w") is Cause.OOM_KILLED


async def test_a_hint_that_a_beat_took_back_is_no_cause(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.hint_gone("w", POD_DELETED, exempt=True))
    await bench.run(bench.workers.beat("w", 15_000))
    assert await look_until_dead(bench, "w") is Cause.DEADLINE


async def test_what_the_operator_saw_says_more_than_that_the_container_runs_again(bench: Bench) -> None:
    await bench.hold_active("told", "a")
    await bench.run(bench.workers.hint_gone("told", "OOMKilled, exit code 137"))
    await bench.hold_active("untold", "b")
    for worker, cause in (("told", Cause.OOM_KILLED), ("untold", Cause.RESTARTED)):
        await bench.run(bench.workers.declare_dead(worker, CONTAINER_RESTARTED))
        assert (await bench.run(bench.broker.recover(worker))).cause is cause


async def look_until_dead(bench: Bench, worker: str) -> Cause | None:
    """The cause that the look said which found it dead."""
    await bench.clock.advance(15_001)
    while (reply := await bench.run(bench.broker.recover(worker))).verdict == "suspected":
        assert reply.cause is None
        await bench.clock.advance(1_000)
    return reply.cause
