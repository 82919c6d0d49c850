"""complete, retry, dead_letter, requeue, crash: every exit from active is fenced by the delivery's token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ferryman_bench import MOMENT, Bench, past_run

from ferryman.call import Call
from ferryman.protocol import Completion, ExitReply, Outcomes, kept_result

Exit = Callable[[Bench, str, str, int], Call[Any]]

EXITS: dict[str, Exit] = {
    "complete": lambda b, worker, id, token: b.broker.complete(worker, [Completion(id, token)]),
    "retry": lambda b, worker, id, token: b.broker.retry(worker, id, token, delay_ms=1_000),
    "dead_letter": lambda b, worker, id, token: b.broker.dead_letter(worker, id, token, error="no"),
    "requeue": lambda b, worker, id, token: b.broker.requeue(worker, [(id, token)]),
    "crash": lambda b, worker, id, token: b.broker.crash(worker, id, token, reason="no"),
}
every_exit = pytest.mark.parametrize("exit", EXITS.values(), ids=EXITS)


def refused(reply: Any) -> bool:
    """Did the exit say not_held?"""
    return bool(reply.not_held) if isinstance(reply, Outcomes) else reply is ExitReply.NOT_HELD


async def test_complete_keeps_the_status_and_forgets_the_payload(bench: Bench) -> None:
    held = await bench.hold_active("w", "a", "b", "c", options=b"{}")

    async with bench.changes() as changes:
        done = [Completion("a", held[0].token, 30, kept_result(60_000, b'"ok"')), Completion("c", held[2].token, 12)]
        reply = await bench.run(bench.broker.complete("w", done))

    assert (reply.reply, reply.not_held) == (ExitReply.OK, [])
    status = {"state": "completed", "finished_ms": MOMENT, "args": None, "options": None, "worker": None}
    assert changes == {
        "active:w": ["b"],
        "completed": ["a", "c"],
        "task:a": status,
        "result:a": '="ok"',
        "task:c": status,
        "stats": {"completed": "2", "run_ms": "42"},
    }


async def test_retry_spends_an_attempt_and_delays(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=5_000, error="boom", run_ms=7))

    assert reply is ExitReply.OK
    assert changes == {
        "active:w": None,
        "delayed": ["t"],
        "task:t": {
            "state": "delayed",
            "worker": None,
            "attempt": "1",
            "error": "boom",
            "history": past_run(1, "retried", "boom", run_ms=7),
        },
        "stats": {"failed": "1", "retried": "1", "run_ms": "7"},
    }


async def test_retry_that_spends_nothing_is_no_failure(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")

    async with bench.changes() as changes:
        await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=5_000, spend=False, run_ms=7))

    assert changes["task:t"] == {
        "state": "delayed", "worker": None, "history": past_run(1, "retried", run_ms=7),
    }  # fmt: skip
    assert changes["stats"] == {"retried": "1", "unspent": "1", "run_ms": "7"}


async def test_dead_letter_keeps_everything_a_person_needs(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.dead_letter("w", "t", held.token, error="boom", run_ms=3))

    assert reply is ExitReply.OK
    assert changes == {
        "active:w": None,
        "dead": ["t"],
        "task:t": {
            "state": "dead",
            "finished_ms": MOMENT,
            "worker": None,
            "attempt": "1",
            "error": "boom",
            "history": past_run(1, "dead", "boom", run_ms=3),
        },
        "stats": {"failed": "1", "run_ms": "3"},
    }


async def test_requeue_puts_tasks_back_to_the_front_in_their_order_with_nothing_spent(bench: Bench) -> None:
    held = await bench.hold_active("w", "a", "b", "c")
    await bench.enqueue("later")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.requeue("w", [(d.id, d.token) for d in held]))

    assert (reply.reply, reply.not_held) == (ExitReply.OK, [])
    back = {"state": "waiting", "worker": None}
    assert changes == {
        "active:w": None,
        "waiting": ["a", "b", "c", "later"],
        **{f"task:{id}": back for id in "abc"},
    }


@every_exit
async def test_a_resend_is_harmless(bench: Bench, exit: Exit) -> None:
    [held] = await bench.hold_active("w", "t")
    assert not refused(await bench.run(exit(bench, "w", "t", held.token)))

    async with bench.changes() as changes:
        assert refused(await bench.run(exit(bench, "w", "t", held.token)))
    assert changes == {}


@every_exit
async def test_the_exit_of_an_old_delivery_is_refused_while_the_same_worker_runs_the_next(
    bench: Bench, exit: Exit
) -> None:
    """A retry whose reply was lost: the task came back to the same worker before the resend did."""
    [old] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.retry("w", "t", old.token, delay_ms=0))
    await bench.run(bench.broker.promote())
    [new] = await bench.fetch("w")

    async with bench.changes() as changes:
        assert refused(await bench.run(exit(bench, "w", "t", old.token)))
    assert changes == {}
    assert not refused(await bench.run(exit(bench, "w", "t", new.token)))


@every_exit
async def test_another_worker_cannot_end_a_task(bench: Bench, exit: Exit) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.register("thief")

    async with bench.changes() as changes:
        assert refused(await bench.run(exit(bench, "thief", "t", held.token)))
    assert changes == {}


@every_exit
async def test_a_worker_that_was_declared_dead_is_told_so_and_changes_nothing(bench: Bench, exit: Exit) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.look_until_dead("w")

    async with bench.changes() as changes:
        reply = await bench.run(exit(bench, "w", "t", held.token))
    assert (reply.reply if isinstance(reply, Outcomes) else reply) is ExitReply.UNREGISTERED
    assert changes == {}


@every_exit
async def test_a_worker_that_is_only_late_still_ends_its_tasks(bench: Bench, exit: Exit) -> None:
    """Past its deadline, but nobody has declared it dead: its work is good."""
    [held] = await bench.hold_active("w", "t")
    await bench.clock.advance(60_000)

    assert not refused(await bench.run(exit(bench, "w", "t", held.token)))
    assert "active:w" not in await bench.snapshot()


async def test_a_batch_refuses_only_what_is_not_held(bench: Bench) -> None:
    a, b = await bench.hold_active("w", "a", "b")
    done = [Completion("a", a.token), Completion("b", b.token + 1), Completion("gone", 1), Completion("a", a.token)]

    reply = await bench.run(bench.broker.complete("w", done))

    assert (reply.reply, reply.not_held) == (ExitReply.OK, ["b", "gone", "a"])
    stats = await bench.stats()
    assert (stats.completed, stats.active) == (1, 1)


@pytest.mark.parametrize("ended", ["ab", "ba", "cd", "ace", "bde", "eca", "abcde", "edcba"])
async def test_what_a_batch_leaves_is_held_in_its_order_whichever_ended(bench: Bench, ended: str) -> None:
    tokens = {held.id: held.token for held in await bench.hold_active("w", *"abcde")}

    reply = await bench.run(bench.broker.complete("w", [Completion(id, tokens[id]) for id in ended]))

    assert reply.not_held == []
    held = [id for id in "abcde" if id not in ended]
    assert (await bench.snapshot()).get("active:w", []) == held
    assert (await bench.stats()).completed == len(ended)


async def test_a_long_batch_completes(bench: Bench) -> None:
    """More than Lua can pass to one command."""
    ids = [f"t{n}" for n in range(1_200)]
    held = await bench.hold_active("w", *ids)
    await bench.run(bench.policy.write({"completed_max": 10}, 1))

    reply = await bench.run(bench.broker.complete("w", [Completion(d.id, d.token) for d in held]))

    assert reply.not_held == []
    assert (await bench.snapshot())["completed"] == sorted(sorted(ids)[-10:])
    assert (await bench.stats()).completed == 1_200


@pytest.mark.parametrize("policy", [{"completed_max": 0}, {"completed_ms": 0}])
async def test_no_status_is_kept_when_the_policy_says_so(bench: Bench, policy: dict[str, int]) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.run(bench.policy.write(policy, 1))
    await bench.run(bench.broker.complete("w", [Completion("t", held.token)]))

    seen = await bench.snapshot()
    assert "task:t" not in seen
    assert "completed" not in seen


async def test_completed_statuses_stay_within_their_number(bench: Bench) -> None:
    await bench.run(bench.policy.write({"completed_max": 2}, 1))
    for id in ("a", "b", "c"):
        await bench.finish(id)
        await bench.clock.advance(10)

    seen = await bench.snapshot()
    assert seen["completed"] == ["b", "c"]
    assert "task:a" not in seen
