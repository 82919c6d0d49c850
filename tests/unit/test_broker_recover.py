"""recover's moves: what a dead worker held goes back to the front, and a crash spends the crash budget."""

from __future__ import annotations

import json

import pytest
from ferryman_bench import MOMENT, Bench, past_run

from ferryman.broker import Broker
from ferryman.errors import BrokerRefused
from ferryman.protocol import Completion


async def crash(bench: Bench, worker: str) -> None:
    """`worker` takes what comes next and dies with it."""
    await bench.register(worker)
    await bench.fetch(worker)
    await bench.look_until_dead(worker)


async def crash_together(bench: Bench, *ids: str) -> None:
    """Two workers in a row die holding these tasks, which makes them suspects. They stand in front of waiting."""
    await bench.hold_active("dies-1", *ids)
    await bench.look_until_dead("dies-1")
    await bench.register("dies-2")
    assert [d.id for d in await bench.fetch("dies-2", len(ids))] == list(ids)
    await bench.look_until_dead("dies-2")


async def test_a_worker_that_died_with_one_task_charges_it(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.enqueue("next")

    async with bench.changes() as changes:
        assert await bench.look_until_dead("w") == (1, 0, 0)

    evidence = changes["task:t"].pop("evidence")
    assert json.loads(evidence) == {
        "worker": "w", "pod": "pod-1", "reason": "heartbeat", "at_ms": MOMENT, "held": 1,
    }  # fmt: skip
    changes.pop("worker:w")
    assert changes == {
        "active:w": None,
        "workers": None,
        "waiting": ["t", "next"],
        "task:t": {
            "state": "waiting",
            "worker": None,
            "crashes": "1",
            "recoveries": "1",
            "deaths": "1",
            "history": past_run(1, "crashed", "its worker fell silent"),
        },
        "stats": {"recovered": "1"},
    }


async def test_a_worker_that_died_with_several_charges_nobody_and_counts_a_death_for_each(bench: Bench) -> None:
    await bench.hold_active("w", "a", "b", "c")
    await bench.enqueue("next")

    async with bench.changes() as changes:
        assert await bench.look_until_dead("w") == (3, 0, 0)

    changes.pop("worker:w")
    back = {
        "state": "waiting",
        "worker": None,
        "recoveries": "1",
        "deaths": "1",
        "history": past_run(1, "recovered", "its worker fell silent"),
    }
    assert changes == {
        "active:w": None,
        "workers": None,
        "waiting": ["a", "b", "c", "next"],
        **{f"task:{id}": back for id in "abc"},
        "stats": {"recovered": "3"},
    }


async def test_after_one_death_tasks_run_in_company_again(bench: Bench) -> None:
    """Most workers die of something else than their tasks, and a fleet that isolates all of those stands still."""
    await bench.hold_active("w", "a", "b")
    await bench.look_until_dead("w")
    await bench.register("next")

    assert [(d.id, d.suspect) for d in await bench.fetch("next", 10)] == [("a", False), ("b", False)]


async def test_suspects_come_alone(bench: Bench) -> None:
    await crash_together(bench, "a", "b")
    await bench.enqueue("innocent")
    await bench.register("next")

    [a] = await bench.fetch("next", 10)
    assert (a.id, a.suspect) == ("a", True)
    assert (await bench.try_fetch("next", 10)).reply == "alone"
    await bench.run(bench.broker.complete("next", [Completion("a", a.token)]))
    [b] = await bench.fetch("next", 10)
    assert (b.id, b.suspect) == ("b", True)
    await bench.run(bench.broker.complete("next", [Completion("b", b.token)]))
    assert [d.id for d in await bench.fetch("next", 10)] == ["innocent"]


async def test_a_batch_ends_before_a_suspect(bench: Bench) -> None:
    await bench.enqueue("first")
    await bench.hold_active("w", "unused")  # takes `first`
    await bench.enqueue("third")
    await bench.write("HSET", bench.keys.task + "unused", "deaths", 2)
    await bench.run(bench.broker.requeue("w", [("first", 1)]))
    await bench.register("next")

    assert [d.id for d in await bench.fetch("next", 10)] == ["first"]
    assert [d.id for d in await bench.fetch("next", 10)] == ["unused"]
    assert (await bench.try_fetch("next", 10)).reply == "alone"


async def test_a_worker_that_holds_a_suspect_gives_its_hand_over_back(bench: Bench) -> None:
    await crash_together(bench, "a", "b")
    await bench.register("next")
    await bench.fetch("next")
    assert await bench.hand() == "b"

    assert (await bench.try_fetch("next", 1, "b")).reply == "alone"
    assert (await bench.snapshot())["waiting"] == ["b"]


async def test_a_suspect_that_ran_and_failed_is_cleared(bench: Bench) -> None:
    await crash_together(bench, "a", "b")
    await bench.register("next")
    [a] = await bench.fetch("next")
    await bench.run(bench.broker.retry("next", "a", a.token, delay_ms=0, error="an ordinary failure"))

    assert "deaths" not in (await bench.snapshot())["task:a"]


async def test_a_suspect_that_was_only_put_aside_stays_one(bench: Bench) -> None:
    """Requeued or parked: it never ran, so it has proved nothing."""
    await crash_together(bench, "a", "b")
    await bench.register("next")
    [a] = await bench.fetch("next")
    await bench.run(bench.broker.requeue("next", [("a", a.token)]))
    assert (await bench.snapshot())["task:a"]["deaths"] == "2"
    [a] = await bench.fetch("next")
    await bench.run(bench.broker.retry("next", "a", a.token, delay_ms=0, spend=False, park=True))

    assert (await bench.snapshot())["task:a"]["deaths"] == "2"


async def test_a_poison_pill_ends_in_dead_with_evidence_and_its_neighbour_does_not(bench: Bench) -> None:
    await crash_together(bench, "poison", "neighbour")
    for n in (1, 2, 3):
        await crash(bench, f"w{n}")

    task = await bench.run(bench.inspector.get("poison"))
    assert task
    assert (task.state, task.crashes, task.error) == ("dead", 3, "its worker died 3 times while it ran alone")
    assert [json.loads(line)["worker"] for line in task.evidence] == ["w1", "w2", "w3"]
    neighbour = await bench.run(bench.inspector.get("neighbour"))
    assert neighbour
    assert (neighbour.state, neighbour.crashes) == ("waiting", 0)
    stats = await bench.stats()
    assert (stats.dead, stats.dead_by_crash, stats.unaccounted) == (1, 1, 0)


async def test_crashes_spend_no_attempt(bench: Bench) -> None:
    await bench.enqueue("t")
    await crash(bench, "w1")
    await crash(bench, "w2")
    await bench.register("w3")

    [task] = await bench.fetch("w3")
    assert (task.attempt, task.crashes, task.token) == (1, 2, 3)


async def test_an_announced_disruption_charges_nobody_and_suspects_nobody(bench: Bench) -> None:
    await bench.hold_active("one", "a")
    await bench.run(bench.workers.hint_gone("one", "evicted", exempt=True))
    await bench.hold_active("several", "b", "c")
    await bench.run(bench.workers.hint_gone("several", "evicted", exempt=True))
    for _ in range(4):
        await bench.clock.advance(1_001)
        await bench.run(bench.broker.recover("one"))
        await bench.run(bench.broker.recover("several"))

    seen = await bench.snapshot()
    assert sorted(seen["waiting"]) == ["a", "b", "c"]
    for id in "abc":
        assert seen[f"task:{id}"].keys().isdisjoint({"crashes", "deaths", "evidence"})
        assert seen[f"task:{id}"]["recoveries"] == "1"


async def test_the_hint_becomes_the_reason_in_the_evidence(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.workers.hint_gone("w", "OOMKilled"))
    await bench.look_until_dead("w")

    task = await bench.run(bench.inspector.get("t"))
    assert task
    assert json.loads(task.evidence[0])["reason"] == "OOMKilled"


async def test_an_absolute_cap_on_recoveries_ends_every_loop(bench: Bench) -> None:
    await bench.run(bench.policy.write({"recoveries_max": 3}, 1))
    for n in range(3):
        worker = f"w{n}"
        await bench.register(worker)
        await (bench.enqueue("a", "b") if n == 0 else bench.enqueue())
        [_a] = await bench.fetch(worker)
        await bench.run(bench.workers.hint_gone(worker, "drained", exempt=True))
        await bench.look_until_dead(worker)

    task = await bench.run(bench.inspector.get("a"))
    assert task
    assert (task.state, task.crashes, task.error) == ("dead", 0, "recovered 3 times without an end")


async def test_recovery_is_bounded_and_goes_on_where_it_stopped(bench: Bench) -> None:
    ids = [f"t{n}" for n in range(7)]
    await bench.hold_active("w", *ids)
    await bench.enqueue("next")
    assert await bench.look_until_dead("w", limit=3) == (3, 0, 4)
    assert await bench.run(bench.workers.look()) == ["w"]

    lefts = [(await bench.run(bench.broker.recover("w", 3))).left for _ in range(2)]

    assert lefts == [1, 0]
    seen = await bench.snapshot()
    assert seen["waiting"] == [*ids, "next"]
    assert {seen[f"task:{id}"]["deaths"] for id in ids} == {"1"}
    assert (await bench.run(bench.broker.recover("w"))).verdict == "unknown"


async def test_the_last_of_a_predecessors_many_tasks_is_not_charged(bench: Bench) -> None:
    """Declared dead by its successor, recovered in batches: the one left over was not alone."""
    await bench.register("old", slot="s")
    await bench.enqueue("a", "b", "c")
    await bench.fetch("old", 3)
    await bench.run(bench.workers.declare_dead("old", "its process ended"))
    for _ in range(3):
        assert (await bench.run(bench.broker.recover("old", 1))).verdict == "dead"

    seen = await bench.snapshot()
    assert [seen[f"task:{id}"].get("crashes") for id in "abc"] == [None, None, None]


async def test_tasks_are_recovered_exactly_once_however_many_recover(bench: Bench) -> None:
    await bench.hold_active("w", "a", "b")
    await bench.look_until_dead("w")

    async with bench.changes() as changes:
        replies = await bench.link.run_all([Broker("bench").recover("w") for _ in range(3)])
    assert [reply.verdict for reply in replies] == ["unknown"] * 3
    assert changes == {}


async def test_a_dead_worker_that_held_nothing_only_goes(bench: Bench) -> None:
    await bench.register("w", slot="s")
    assert await bench.look_until_dead("w") == (0, 0, 0)

    assert (await bench.snapshot()).keys() == {"config"}


async def test_a_damaged_counter_of_crashes_is_refused_before_anything_moves(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.write("HSET", bench.keys.stats, "dead_by_crash", "many")
    await bench.clock.advance(15_001)
    for _ in range(2):
        await bench.run(bench.broker.recover("w"))
        await bench.clock.advance(1_001)
    async with bench.changes() as changes:
        with pytest.raises(BrokerRefused, match="no whole number"):
            await bench.run(bench.broker.recover("w"))
    assert changes == {}

    await bench.write("HDEL", bench.keys.stats, "dead_by_crash")
