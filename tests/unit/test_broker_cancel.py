"""cancel: a running task ends instead of going round again, whatever its worker says or does not live to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ferryman_bench import MOMENT, Bench, past_run

from ferryman.call import Call
from ferryman.errors import BrokerRefused
from ferryman.new_task import NewTask
from ferryman.protocol import Completion, ExitReply, Outcomes

ENDED = {
    "state": "discarded",
    "why": "cancelled",
    "error": "it was cancelled while it ran",
    "finished_ms": MOMENT,
    "worker": None,
    "args": None,
    "marks": None,
}

#: Every way round that ends it instead: the call, and what its history says.
EXITS: dict[str, tuple[Callable[[Bench], Call[Any]], str]] = {
    "retry": (lambda b: b.broker.retry("w", "t", 1, delay_ms=10, error="boom"), "boom"),
    "dead_letter": (lambda b: b.broker.dead_letter("w", "t", 1, error="boom"), "boom"),
    "crash": (lambda b: b.broker.crash("w", "t", 1, reason="SIGKILL"), "SIGKILL"),
    "requeue": (lambda b: b.broker.requeue("w", [("t", 1)]), "it was cancelled"),
}
every_exit = pytest.mark.parametrize("exit", EXITS)


async def wish(bench: Bench, id: str = "t") -> str:
    return await bench.run(bench.broker.ask_to_stop(id))


async def test_a_wish_stays_with_the_task_and_its_worker_hears_of_it(bench: Bench) -> None:
    await bench.hold_active("w", "t", "other")
    before = await bench.run(bench.workers.beat("w", 15_000))

    assert await wish(bench) == "asked"

    after = await bench.run(bench.workers.beat("w", 15_000))
    assert (before.cancelled_at_us, after.cancelled_at_us > 0) == (0, True)
    assert await bench.run(bench.workers.asked_to_stop("w", ["t", "other"])) == ["t"]
    assert await bench.run(bench.workers.asked_to_stop("somebody", ["t"])) == []
    assert (await bench.stats()).active == 2


async def test_what_does_not_run_gets_no_wish(bench: Bench) -> None:
    await bench.finish("done")
    await bench.enqueue("waits")
    await bench.enqueue("later", delay_ms=1_000)

    before = await bench.snapshot()
    assert [await wish(bench, id) for id in ("waits", "later", "done", "nobody")] == [
        "waiting",
        "delayed",
        "completed",
        "missing",
    ]
    assert await bench.snapshot() == before


@every_exit
async def test_a_cancelled_task_ends_instead_of_going_round_again(bench: Bench, exit: str) -> None:
    call, said = EXITS[exit]
    await bench.hold_active("w", "t", unique="key")
    await wish(bench)

    async with bench.changes() as changes:
        reply = await bench.run(call(bench))

    assert reply == Outcomes(ExitReply.OK, []) if exit == "requeue" else reply is ExitReply.CANCELLED
    history = changes["task:t"].pop("history", None)
    assert history == past_run(1, "cancelled", said, run_ms=0 if exit in ("retry", "dead_letter") else None)
    assert changes == {
        "active:w": None,
        "unique:key": None,
        "completed": ["t"],
        "task:t": {**ENDED, "unique": None},
        "stats": {"discarded": "1", "cancelled": "1"},
    }
    assert (await bench.stats()).unaccounted == 0


async def test_a_cancelled_task_whose_worker_dies_is_not_given_out_again(bench: Bench) -> None:
    await bench.hold_active("w", "t", "innocent")
    await wish(bench)

    assert await bench.look_until_dead("w") == (1, 0, 0)

    task = await bench.run(bench.inspector.get("t"))
    assert task is not None
    assert (task.state, task.why, task.history[-1].outcome) == ("discarded", "cancelled", "cancelled")
    stats = await bench.stats()
    assert (stats.waiting, stats.discarded, stats.cancelled, stats.unaccounted) == (1, 1, 1, 0)


async def test_a_wish_that_an_older_worker_gave_back_with_the_task_is_honoured_at_the_next_fetch(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await wish(bench)
    await bench.write("LREM", bench.keys.active("w"), 1, "t")
    await bench.write("HSET", bench.keys.task + "t", "state", "waiting")
    await bench.write("RPUSH", bench.keys.waiting, "t")

    assert await bench.fetch("w") == []

    stats = await bench.stats()
    assert (stats.discarded, stats.cancelled, stats.unaccounted) == (1, 1, 0)


async def test_completion_that_comes_first_wins_and_so_does_one_that_comes_after_the_wish(bench: Bench) -> None:
    await bench.hold_active("w", "first", "second")
    await bench.run(bench.broker.complete("w", [Completion("first", 1)]))
    assert await wish(bench, "first") == "completed"

    await wish(bench, "second")
    await bench.run(bench.broker.complete("w", [Completion("second", 1)]))

    stats = await bench.stats()
    assert (stats.completed, stats.discarded, stats.unaccounted) == (2, 0, 0)


async def test_a_late_outcome_of_a_cancelled_task_is_not_held(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await wish(bench)
    await bench.run(bench.broker.requeue("w", [("t", 1)]))

    assert (await bench.run(bench.broker.complete("w", [Completion("t", 1)]))).not_held == ["t"]
    assert (await bench.run(bench.broker.requeue("w", [("t", 1)]))).not_held == ["t"]


async def test_without_kept_statuses_a_cancelled_task_is_gone(bench: Bench) -> None:
    await bench.run(bench.policy.write({"completed_ms": 0}, 1))
    await bench.hold_active("w", "t")
    await wish(bench)
    await bench.run(bench.broker.requeue("w", [("t", 1)]))

    assert await bench.run(bench.inspector.get("t")) is None
    assert (await bench.stats()).unaccounted == 0


async def test_the_kept_status_of_a_cancelled_task_is_forgotten_without_being_counted_again(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await wish(bench)
    await bench.run(bench.broker.requeue("w", [("t", 1)]))
    assert await bench.run(bench.broker.cancel("t")) == "finished"

    await bench.clock.advance(3_600_001)
    await bench.run(bench.broker.trim())

    assert await bench.run(bench.inspector.get("t")) is None
    stats = await bench.stats()
    assert (stats.discarded, stats.unaccounted) == (1, 0)
    await bench.run(bench.broker.enqueue([NewTask("t", "echo", b"{}")]))
    assert [d.id for d in await bench.fetch("w")] == ["t"]


@pytest.mark.damages
@every_exit
async def test_damage_in_what_the_end_would_write_refuses_the_exit_as_a_whole(bench: Bench, exit: str) -> None:
    await bench.hold_active("w", "t")
    await wish(bench)
    await bench.write("SET", bench.keys.completed, "no set")
    before = await bench.snapshot()

    with pytest.raises(BrokerRefused):
        await bench.run(EXITS[exit][0](bench))

    assert await bench.snapshot() == before
