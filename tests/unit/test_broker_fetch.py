"""fetch and the hand-over: only a registered worker takes tasks, and nothing is stranded on the way."""

from __future__ import annotations

import pytest
from ferryman_bench import MOMENT, Bench

from ferryman.broker import ANY_HANDED
from ferryman.protocol import Completion


async def test_fetch_moves_the_oldest_to_the_worker_and_counts_the_delivery(bench: Bench) -> None:
    await bench.enqueue("a", "b", "c")
    await bench.register("w")

    async with bench.changes() as changes:
        reply = await bench.try_fetch("w", 2)

    assert (reply.reply, reply.waiting) == ("ok", 1)
    assert [(d.id, d.name, d.args, d.attempt, d.token, d.suspect) for d in reply.tasks] == [
        ("a", "echo", b"{}", 1, 1, False),
        ("b", "echo", b"{}", 1, 1, False),
    ]
    held = {"state": "active", "worker": "w", "deliveries": "1"}
    assert changes == {"waiting": ["c"], "active:w": ["a", "b"], "task:a": held, "task:b": held}


@pytest.mark.parametrize("how", ["never registered", "unregistered", "declared dead"])
async def test_an_unregistered_worker_gets_nothing_and_holds_nothing(bench: Bench, how: str) -> None:
    if how == "unregistered":
        await bench.register("w")
        await bench.run(bench.workers.unregister("w"))
    elif how == "declared dead":
        await bench.register("w")
        await bench.look_until_dead("w")
    await bench.enqueue("t")
    await bench.hand()

    async with bench.changes() as changes:
        reply = await bench.try_fetch("w", 5, "t")

    assert reply.reply == "unregistered"
    assert reply.tasks == []
    assert changes == {}


async def test_a_handed_id_comes_first_and_leaves_handed(bench: Bench) -> None:
    await bench.enqueue("a", "b")
    await bench.register("w")
    assert await bench.hand() == "a"
    assert (await bench.stats()).waiting == 2

    async with bench.changes() as changes:
        taken = await bench.fetch("w", 2, "a")

    assert [d.id for d in taken] == ["a", "b"]
    assert changes["handed"] is None


async def test_a_fetch_sent_along_with_the_hand_over_takes_what_stands_longest_in_handed(bench: Bench) -> None:
    await bench.register("w")
    await bench.enqueue("a", "b", "c")
    for _ in range(2):
        await bench.run(bench.broker.hand_over(1))

    assert [d.id for d in await bench.fetch("w", 1, ANY_HANDED)] == ["a"]
    assert [d.id for d in await bench.fetch("w", 2, ANY_HANDED)] == ["b", "c"]
    assert (await bench.try_fetch("w", 2, ANY_HANDED)).tasks == []
    assert "handed" not in await bench.snapshot()


async def test_what_is_handed_over_on_a_held_queue_goes_back_whoever_asks(bench: Bench) -> None:
    await bench.register("w")
    await bench.enqueue("a", "b")
    await bench.run(bench.broker.hand_over(1))
    await bench.run(bench.policy.hold(True))

    assert (await bench.try_fetch("w", 2, ANY_HANDED)).reply == "held"
    assert (await bench.snapshot())["waiting"] == ["a", "b"]


async def test_a_handed_id_that_is_no_longer_there_means_an_ordinary_fetch(bench: Bench) -> None:
    """Another worker, or the recoverer, was quicker."""
    await bench.enqueue("a", "b")
    await bench.register("w", "other")
    await bench.hand()
    await bench.fetch("other", 1, "a")

    assert [d.id for d in await bench.fetch("w", 1, "a")] == ["b"]
    assert (await bench.snapshot())["active:other"] == ["a"]


async def test_a_lost_hand_over_returns_to_the_front_on_two_looks_two_seconds_apart(bench: Bench) -> None:
    await bench.enqueue("lost-1", "lost-2", "next")
    await bench.hand()
    await bench.hand()
    assert await bench.run(bench.broker.recover_handed()) == 0
    await bench.clock.advance(1_500)
    assert await bench.run(bench.broker.recover_handed()) == 0
    await bench.clock.advance(600)

    async with bench.changes() as changes:
        assert await bench.run(bench.broker.recover_handed()) == 2

    assert changes == {"handed": None, "handed-seen": None, "waiting": ["lost-1", "lost-2", "next"]}


async def test_what_was_never_fetched_is_never_blamed(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.hand()
    await bench.run(bench.broker.recover_handed())
    await bench.clock.advance(2_100)
    await bench.run(bench.broker.recover_handed())
    await bench.register("w")

    [task] = await bench.fetch("w")
    assert (task.token, task.crashes, task.suspect) == (1, 0, False)
    assert (await bench.stats()).recovered == 0


async def test_looks_at_handed_are_bounded(bench: Bench) -> None:
    await bench.enqueue("a", "b", "c")
    for _ in range(3):
        await bench.hand()
    await bench.run(bench.broker.recover_handed(limit=2))
    await bench.clock.advance(2_100)

    assert await bench.run(bench.broker.recover_handed(limit=2)) == 2
    seen = await bench.snapshot()
    assert (seen["waiting"], seen["handed"]) == (["a", "b"], ["c"])


async def test_a_late_fetch_after_the_hand_over_was_recovered_still_gets_it(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.register("w")
    await bench.hand()
    await bench.run(bench.broker.recover_handed())
    await bench.clock.advance(2_100)
    await bench.run(bench.broker.recover_handed())

    assert [d.id for d in await bench.fetch("w", 1, "t")] == ["t"]
    assert "waiting" not in await bench.snapshot()


async def test_a_queue_on_hold_gives_nothing_and_takes_the_hand_over_back(bench: Bench) -> None:
    await bench.enqueue("a", "b")
    await bench.register("w")
    await bench.hand()
    await bench.run(bench.policy.hold(True))

    async with bench.changes() as changes:
        reply = await bench.try_fetch("w", 2, "a")

    assert (reply.reply, reply.tasks, reply.waiting) == ("held", [], 2)
    assert changes == {"handed": None, "waiting": ["a", "b"]}

    await bench.run(bench.policy.hold(False))
    assert [d.id for d in await bench.fetch("w", 2)] == ["a", "b"]


async def test_a_draining_worker_gets_nothing_until_its_lease_ends(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.register("w", "other", timeout_ms=60_000)
    assert await bench.run(bench.workers.drain(["w", "nobody"], 5_000)) == 1
    assert (await bench.try_fetch("w")).reply == "draining"
    assert (await bench.run(bench.workers.beat("w", 60_000))).draining

    await bench.clock.advance(5_001)
    assert not (await bench.run(bench.workers.beat("w", 60_000))).draining
    assert [d.id for d in await bench.fetch("w")] == ["t"]


async def test_the_operator_can_end_a_drain_at_once(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.register("w")
    await bench.run(bench.workers.drain(["w"], 60_000))
    await bench.run(bench.workers.drain(["w"], 0))

    assert [d.id for d in await bench.fetch("w")] == ["t"]


async def test_a_lost_fetch_reply_is_found_by_the_beat_and_read_back(bench: Bench) -> None:
    held = await bench.hold_active("w", "a", "b")

    beat = await bench.run(bench.workers.beat("w", 15_000))
    assert (beat.registered, beat.active) == (True, 2)
    assert await bench.run(bench.workers.holding("w")) == [("a", 1), ("b", 1)]
    outcomes = await bench.run(bench.broker.complete("w", [Completion(d.id, d.token) for d in held]))
    assert outcomes.not_held == []


async def test_a_second_delivery_has_a_new_token_and_the_same_attempt_when_nothing_was_spent(bench: Bench) -> None:
    [first] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.requeue("w", [("t", first.token)]))

    [second] = await bench.fetch("w")
    assert (second.token, second.attempt) == (2, 1)


async def test_a_retry_makes_the_next_run_the_second_attempt(bench: Bench) -> None:
    [first] = await bench.hold_active("w", "t")
    await bench.run(bench.broker.retry("w", "t", first.token, delay_ms=0, error="boom"))
    await bench.run(bench.broker.promote())

    [second] = await bench.fetch("w")
    assert second.attempt == 2


async def test_registering_publishes_who_works_and_the_beat_moves_the_promise(bench: Bench) -> None:
    await bench.register("w", pod="pod-7")
    [row] = await bench.run(bench.workers.list())
    assert (row.id, row.pod, row.concurrency, row.app, row.timeout_ms) == ("w", "pod-7", 10, "app", 15_000)

    await bench.clock.advance(14_000)
    await bench.run(bench.workers.beat("w", 15_000))
    await bench.clock.advance(14_000)
    assert await bench.run(bench.workers.look()) == []
    await bench.clock.advance(2_000)
    assert await bench.run(bench.workers.look()) == ["w"]


async def test_a_worker_that_holds_tasks_cannot_leave(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    async with bench.changes() as changes:
        assert await bench.run(bench.workers.unregister("w")) is False
    assert changes == {}

    await bench.run(bench.broker.requeue("w", [("t", held.token)]))
    async with bench.changes() as changes:
        assert await bench.run(bench.workers.unregister("w")) is True
    assert changes["workers"] is None
    assert changes["worker:w"] is None


async def test_seen_hand_overs_are_remembered_only_while_they_last(bench: Bench) -> None:
    await bench.enqueue("t")
    await bench.register("w")
    await bench.hand()
    await bench.run(bench.broker.recover_handed())
    assert (await bench.snapshot())["handed-seen"] == {"t": MOMENT}
    await bench.fetch("w", 1, "t")
    await bench.run(bench.broker.recover_handed())

    assert "handed-seen" not in await bench.snapshot()
