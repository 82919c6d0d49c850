"""crash: the process that ran one task died, its worker did not: the crash budget pays, and nobody else."""

from __future__ import annotations

import json

import pytest
from ferryman_bench import MOMENT, Bench, past_run

from ferryman.errors import BrokerRefused
from ferryman.protocol import ExitReply

REASON = "its process (pid 7) was killed by SIGKILL"


async def test_a_crash_goes_to_the_front_and_spends_the_crash_budget_and_no_attempt(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.enqueue("later")

    async with bench.changes() as changes:
        reply = await bench.run(bench.broker.crash("w", "t", held.token, reason=REASON))

    assert reply is ExitReply.OK
    evidence = json.loads(changes["task:t"].pop("evidence"))
    assert evidence == {"worker": "w", "pod": "pod-1", "reason": REASON, "at_ms": MOMENT, "held": 1}
    assert changes == {
        "active:w": None,
        "waiting": ["t", "later"],
        "task:t": {
            "state": "waiting",
            "worker": None,
            "crashes": "1",
            "error": REASON,
            "history": past_run(1, "crashed", REASON),
        },
    }


async def test_a_crash_of_a_task_with_a_priority_keeps_its_place_among_them(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t", priority=5)
    await bench.enqueue("urgent", priority=9)
    await bench.run(bench.broker.crash("w", "t", held.token, reason=REASON))

    assert [d.id for d in await bench.fetch("w", 2)] == ["urgent", "t"]


async def test_the_last_crash_is_dead_with_all_evidence_and_gives_its_unique_key_free(bench: Bench) -> None:
    await bench.run(bench.policy.write({"crashes_max": 2}, 1))
    await bench.hold_active("w", "t", unique="key")
    await bench.run(bench.broker.crash("w", "t", 1, reason="first"))
    await bench.fetch("w")

    await bench.run(bench.broker.crash("w", "t", 2, reason="second"))

    task = await bench.run(bench.inspector.get("t"))
    assert task is not None
    assert (task.state, task.crashes, task.attempt) == ("dead", 2, 0)
    assert [json.loads(line)["reason"] for line in task.evidence] == ["first", "second"]
    assert task.error == "its process died 2 times: second"
    assert "unique:key" not in await bench.snapshot()
    stats = await bench.stats()
    assert (stats.dead, stats.dead_by_crash, stats.unaccounted) == (1, 1, 0)


async def test_crashes_in_a_process_and_of_the_worker_share_one_budget(bench: Bench) -> None:
    await bench.hold_active("w", "t")
    await bench.run(bench.broker.crash("w", "t", 1, reason=REASON))
    await bench.fetch("w")
    await bench.run(bench.broker.crash("w", "t", 2, reason=REASON))
    await bench.fetch("w")
    assert await bench.look_until_dead("w") == (0, 1, 0)


async def test_a_neighbour_is_no_suspect(bench: Bench) -> None:
    [crashed, _] = await bench.hold_active("w", "t", "neighbour")
    async with bench.changes() as changes:
        await bench.run(bench.broker.crash("w", "t", crashed.token, reason=REASON))
    assert "task:neighbour" not in changes


async def test_a_damaged_counter_is_refused_before_anything_moves(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    await bench.write("HSET", bench.keys.stats, "dead_by_crash", "many")
    async with bench.changes() as changes:
        with pytest.raises(BrokerRefused, match="no whole number"):
            await bench.run(bench.broker.crash("w", "t", held.token, reason=REASON))
    assert changes == {}

    await bench.write("HDEL", bench.keys.stats, "dead_by_crash")
