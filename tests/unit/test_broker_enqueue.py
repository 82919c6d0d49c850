"""enqueue: new -> waiting or delayed, once per id and unique key."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench import MOMENT, Bench

from ferryman.errors import InvalidTask, ProtocolMismatch
from ferryman.new_task import Enqueued, NewTask
from ferryman.protocol import PROTOCOL, Completion


async def test_an_enqueued_task_waits_at_the_back_with_its_payload_in_a_hash(bench: Bench) -> None:
    await bench.enqueue("first")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.enqueue([NewTask("second", "echo", b'{"x":1}', b'{"max_attempts":2}')]))

    assert reply == [Enqueued("second", True)]
    assert changes == {
        "waiting": ["first", "second"],
        "stats": {"enqueued": "2"},
        "task:second": {
            "name": "echo",
            "args": '{"x":1}',
            "options": '{"max_attempts":2}',
            "state": "waiting",
            "enqueued_ms": MOMENT,
            "since_ms": MOMENT,
        },
    }


async def test_the_first_enqueue_writes_the_protocol_number(bench: Bench) -> None:
    await bench.enqueue("t")

    assert (await bench.snapshot())["config"] == {"protocol": str(PROTOCOL)}


async def test_a_delayed_task_waits_in_delayed_and_not_in_the_list(bench: Bench) -> None:
    await bench.enqueue("later", delay_ms=10_000)

    seen = await bench.snapshot()
    assert seen["delayed"] == ["later"]
    assert seen["task:later"]["state"] == "delayed"
    assert "waiting" not in seen


async def test_a_moment_in_the_past_means_now(bench: Bench) -> None:
    await bench.enqueue("t", run_at_ms=1)

    assert (await bench.snapshot())["waiting"] == ["t"]


async def test_the_due_time_counts_from_redis_own_clock(fake_bench: Bench, frozen_clock: Any) -> None:
    await fake_bench.enqueue("a", delay_ms=10_000)
    await fake_bench.enqueue("b", run_at_ms=frozen_clock.now_ms + 5)

    stats = await fake_bench.stats()
    assert stats.next_due_ms == frozen_clock.now_ms + 5
    assert (await fake_bench.run(fake_bench.inspector.get("a"))).run_at_ms == frozen_clock.now_ms + 10_000  # type: ignore[union-attr]


async def test_an_id_is_an_idempotency_key(bench: Bench) -> None:
    await bench.enqueue("t")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.enqueue([NewTask("t", "other", b'{"y":2}')]))

    assert reply == [Enqueued("t", False)]
    assert changes == {}


async def test_an_id_stays_taken_while_its_kept_status_exists_and_is_free_after_it(bench: Bench) -> None:
    await bench.finish("t")
    assert await bench.run(bench.broker.enqueue([NewTask("t", "echo", b"{}")])) == [Enqueued("t", False)]

    await bench.clock.advance(3_600_001)
    await bench.run(bench.broker.trim())

    assert await bench.run(bench.broker.enqueue([NewTask("t", "echo", b"{}")])) == [Enqueued("t", True)]


async def test_one_batch_with_an_id_twice_creates_it_once(bench: Bench) -> None:
    twice = [NewTask("t", "echo", b"{}"), NewTask("t", "echo", b"{}")]

    assert await bench.run(bench.broker.enqueue(twice)) == [Enqueued("t", True), Enqueued("t", False)]
    assert (await bench.snapshot())["waiting"] == ["t"]


async def test_in_a_batch_the_tasks_that_exist_are_told_from_the_new_ones(bench: Bench) -> None:
    await bench.enqueue("b")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.enqueue([NewTask(id, "echo", b'{"y":2}') for id in ("a", "b", "c")]))

    assert reply == [Enqueued("a", True), Enqueued("b", False), Enqueued("c", True)]
    assert changes["waiting"] == ["b", "a", "c"]
    assert changes["stats"] == {"enqueued": "3"}
    assert "task:b" not in changes


async def test_tasks_that_ask_for_more_keep_their_place_among_plain_ones(bench: Bench) -> None:
    tasks = [NewTask("a", "echo", b"{}"), NewTask("b", "other", b"{}", unique="k"), NewTask("c", "echo", b"{}")]

    assert await bench.run(bench.broker.enqueue(tasks)) == [Enqueued(id, True) for id in "abc"]
    assert (await bench.snapshot())["waiting"] == ["a", "b", "c"]


async def test_more_plain_tasks_than_one_command_of_a_script_takes_are_enqueued(real_bench: Bench) -> None:
    tasks = [NewTask(f"t{n}", "echo", b"{}") for n in range(8_001)]

    assert all(reply.created for reply in await real_bench.run(real_bench.broker.enqueue(tasks)))
    assert (await real_bench.stats()).waiting == 8_001


async def test_a_batch_of_none_changes_nothing(bench: Bench) -> None:
    async with bench.changes() as changes:
        assert await bench.run(bench.broker.enqueue([])) == []

    assert changes in ({}, {"config": {"protocol": str(PROTOCOL)}})


async def test_a_unique_key_lets_one_task_in_and_names_its_owner(bench: Bench) -> None:
    tasks = [NewTask(id, "echo", b"{}", unique="order:7") for id in ("a", "b")]
    assert await bench.run(bench.broker.enqueue(tasks)) == [Enqueued("a", True), Enqueued("a", False)]

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.enqueue([NewTask("c", "echo", b"{}", unique="order:7")]))

    assert reply == [Enqueued("a", False)]
    assert changes == {}


@pytest.mark.parametrize("ending", ["complete", "dead_letter", "discard", "crashes"])
async def test_a_unique_key_is_free_again_when_its_owner_has_ended(bench: Bench, ending: str) -> None:
    [held] = await bench.hold_active("w", "a", unique="k")
    if ending == "complete":
        await bench.run(bench.broker.complete("w", [Completion("a", held.token)]))
    elif ending == "dead_letter":
        await bench.run(bench.broker.dead_letter("w", "a", held.token, error="no"))
    elif ending == "discard":
        await bench.run(bench.broker.requeue("w", [("a", held.token)]))
        await bench.run(bench.broker.cancel("a"))
    else:
        await bench.run(bench.policy.write({"crashes_max": 1}, 1))
        assert await bench.look_until_dead("w") == (0, 1, 0)

    assert "unique:k" not in await bench.snapshot()
    assert await bench.run(bench.broker.enqueue([NewTask("b", "echo", b"{}", unique="k")])) == [Enqueued("b", True)]


async def test_a_retry_keeps_the_unique_key(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "a", unique="k")
    await bench.run(bench.broker.retry("w", "a", held.token, delay_ms=0))

    assert (await bench.snapshot())["unique:k"] == "a"


async def test_an_owner_releases_only_its_own_unique_key(bench: Bench) -> None:
    """The old owner died and was revived by hand; meanwhile another task holds the key."""
    [held] = await bench.hold_active("w", "a", unique="k")
    await bench.write("SET", bench.keys.unique + "k", "b")

    async with bench.changes() as changes:
        await bench.run(bench.broker.complete("w", [Completion("a", held.token)]))

    assert "unique:k" not in changes
    await bench.write("DEL", bench.keys.unique + "k")


async def test_nothing_that_redis_must_not_see_is_sent(bench: Bench) -> None:
    for task in (
        NewTask("no spaces", "echo", b"{}"),
        NewTask("*", "echo", b"{}"),
        NewTask("t", "1abc", b"{}"),
        NewTask("t", "echo", b"{}", priority=(1 << 20) + 1),
        NewTask("t", "echo", b"{}", delay_ms=-1),
        NewTask("t", "echo", b"{}", unique="white space"),
    ):
        with pytest.raises(InvalidTask):
            bench.broker.enqueue([task])


@pytest.mark.parametrize(("theirs", "works"), [(PROTOCOL - 1, True), (PROTOCOL + 1, True), (PROTOCOL + 2, False)])
async def test_protocols_that_are_one_apart_work_together(bench: Bench, theirs: int, works: bool) -> None:
    await bench.write("HSET", bench.keys.config, "protocol", theirs)
    if works:
        await bench.enqueue("t")
        await bench.register("w")
        assert [d.id for d in await bench.fetch("w")] == ["t"]
        assert (await bench.snapshot())["config"] == {"protocol": str(theirs)}
        return

    async with bench.changes() as changes:
        with pytest.raises(ProtocolMismatch, match="upgrade this process"):
            await bench.enqueue("t")
    assert changes == {}
    async with bench.changes() as changes:
        with pytest.raises(ProtocolMismatch):
            await bench.register("w")
    assert changes.keys() == {"config"}
    assert changes["config"].keys() - {"protocol"} == {"refused_protocol", "refused_ms"}, "noted, for people"
