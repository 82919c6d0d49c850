"""attend: how tasks ended, and who is told of the end of one that has not."""

from __future__ import annotations

import pytest
from ferryman_bench import Bench

from ferryman.ends import Ending, Ends
from ferryman.new_task import NewTask
from ferryman.protocol import Completion, kept_result, refused_result
from ferryman.task import TaskState
from ferryman.terms import Terms

KEEP = Terms(keep=True).encode()


async def look(bench: Bench, id: str = "t", waiter: str = "") -> Ending:
    [ending] = await bench.run(Ends(bench.name).attend([id], waiter))
    return ending


async def told(bench: Bench, waiter: str) -> list[str]:
    return await bench.run(Ends(bench.name).more(waiter))


async def test_a_result_is_kept_for_as_long_as_was_asked(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.broker.complete("w", [Completion("t", 1, 1, kept_result(60_000, b'{"n":1}'))]))
    assert await look(bench) == Ending("completed", b'={"n":1}')


async def test_a_result_outlives_the_kept_status_of_its_task(bench: Bench) -> None:
    await bench.run(bench.policy.write({"completed_max": 0}, 1))
    await bench.hold_active("w", "t")
    await bench.run(bench.broker.complete("w", [Completion("t", 1, 1, kept_result(60_000, b"1"))]))
    assert await look(bench) == Ending("completed", b"=1")


async def test_why_there_is_no_result(bench: Bench) -> None:
    await bench.hold_active("w", "t", "u")
    done = [Completion("t", 1, 1, refused_result(60_000, "too large")), Completion("u", 1)]
    await bench.run(bench.broker.complete("w", done))
    assert await look(bench, "t") == Ending("completed", b"!too large")
    assert await look(bench, "u") == Ending("completed", b"")
    assert await look(bench, "nobody") == Ending("missing", b"")


async def test_the_error_of_a_dead_task(bench: Bench) -> None:
    await bench.bury("t", error="boom")
    assert await look(bench) == Ending("dead", b"boom")


async def test_whoever_waits_is_told_of_each_end_once(bench: Bench) -> None:
    await bench.hold_active("w", "done", "dead", "retried", "cancelled")
    await bench.enqueue("purged")
    for id in ("done", "dead", "retried", "cancelled", "purged"):
        for waiter in ("one", "two"):
            assert (await look(bench, id, waiter)).state in ("active", "waiting")
    await look(bench, "done", "one")

    await bench.run(bench.broker.retry("w", "retried", 1, delay_ms=1_000))
    assert await told(bench, "one") == []
    await bench.run(bench.broker.complete("w", [Completion("done", 1)]))
    await bench.run(bench.broker.dead_letter("w", "dead", 1, error="no"))
    await bench.run(bench.broker.ask_to_stop("cancelled"))
    await bench.run(bench.broker.requeue("w", [("cancelled", 1)]))
    await bench.run(bench.broker.discard(TaskState.WAITING))

    for waiter in ("one", "two"):
        assert await told(bench, waiter) == ["done", "dead", "cancelled", "purged"]
    assert [key for key in await bench.snapshot() if key.startswith(("told:", "awaiting:"))] == ["awaiting:retried"]


async def test_a_look_leaves_nothing_behind(bench: Bench) -> None:
    await bench.enqueue("t")
    before = await bench.snapshot()
    assert await look(bench) == Ending("waiting", b"")
    assert await bench.snapshot() == before


async def test_a_discarded_task_leaves_word_when_its_result_was_to_be_kept(bench: Bench) -> None:
    await bench.enqueue("kept", terms=KEEP)
    await bench.enqueue("not")
    for id in ("kept", "not"):
        await bench.run(bench.broker.cancel(id))
    assert await look(bench, "kept") == Ending("discarded", b"discarded")
    assert await look(bench, "not") == Ending("missing", b"")


async def test_word_of_an_earlier_end_is_nothing_to_a_new_task_of_that_id(bench: Bench) -> None:
    await bench.enqueue("t", terms=KEEP)
    await bench.run(bench.broker.cancel("t"))
    await bench.hold_active("w", "t", terms=KEEP)
    assert await look(bench) == Ending("active", b"")
    await bench.run(bench.broker.complete("w", [Completion("t", 1)]))
    assert await look(bench) == Ending("completed", b"")


async def test_a_task_that_nobody_waits_for_tells_nobody(bench: Bench) -> None:
    await bench.run(bench.broker.enqueue([NewTask("t", "echo", b"{}")]))
    assert "marks" not in (await bench.snapshot())["task:t"]


@pytest.mark.damages
async def test_damage_in_what_waiters_left_stops_no_exit(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await look(bench, "t", "one")
    await bench.write("DEL", bench.keys.awaiting + "t")
    await bench.write("SET", bench.keys.awaiting + "t", "no set")
    await bench.run(bench.broker.complete("w", [Completion("t", 1)]))
    assert (await bench.stats()).completed == 1
