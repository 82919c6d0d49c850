"""A restarted container takes back what its predecessor held, whatever reply is lost on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from ferryman_bench import Bench
from ferryman_worker.board import Board
from ferryman_worker.counters import Recovered
from ferryman_worker.identity import Identity
from ferryman_worker.settings import WorkerSettings
from ferryman_worker.takeover import Takeover, take_over
from ferryman_worker.tenure import Registrar

from ferryman.call import Call
from ferryman.cause import CONTAINER_RESTARTED, Cause
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.plan import run_plan_async
from ferryman.task import Task

SLOT = "uid-1.worker"


class LossyLink:
    """Applies every call, and loses the reply of the first one with a given script; "" is the plain read."""

    def __init__(self, link: Link, loses: str) -> None:
        self._link = link
        self._loses: str | None = loses

    async def run(self, call: Call[Any]) -> Any:
        [reply] = await self.run_all([call])
        return reply

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        replies = await self._link.run_all(calls)
        if self._loses in [call.script for call in calls]:
            self._loses = None
            raise BrokerUnavailable("the connection broke after the command was applied")
        return replies


class Successor:
    """The next process of the container, as far as its registration."""

    def __init__(self, bench: Bench, directory: Path, loses: str = "nothing") -> None:
        settings = WorkerSettings(
            "redis://r", pod_uid="uid-1", container="worker", run_dir=directory, termination_log=directory / "log"
        )
        self.identity = Identity(settings, bench.name)
        self.board = Board()
        self.link = LossyLink(bench.link, loses)
        self.beats_ended = False
        self.recovered = Recovered()
        self.registrar = Registrar(
            cast(Link, self.link),
            bench.workers,
            self.board,
            self.identity,
            Manifest("app", {}),
            concurrency=1,
            timeout_ms=15_000,
            end_beats=self._end_beats,
            recovered=self.recovered,
        )

    async def join(self) -> str:
        """Its id, once it has registered."""
        async with asyncio.timeout(20):
            worker, _ = await self.registrar.join()
        return worker

    def _end_beats(self) -> None:
        self.beats_ended = True


async def hold_in_slot(bench: Bench, worker: str, *ids: str) -> None:
    await bench.register(worker, slot=SLOT)
    await bench.enqueue(*ids)
    await bench.fetch(worker, len(ids))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryman_worker.tenure._RETRY_S", 0.0)


@pytest.mark.parametrize("loses", ["nothing", "", "declare_dead", "recover", "register"])
async def test_whichever_reply_is_lost_the_predecessors_tasks_are_back_when_the_successor_has_joined(
    bench: Bench, tmp_path: Path, loses: str
) -> None:
    """More tasks than one step recovers: a lost reply may leave some behind."""
    ids = [f"t{number}" for number in range(250)]
    await hold_in_slot(bench, "old", *ids)
    worker = await Successor(bench, tmp_path, loses).join()

    seen = await bench.snapshot()
    assert seen["waiting"] == ids
    assert seen["workers"] == [worker]
    assert seen["slots"] == {SLOT: worker}
    assert "active:old" not in seen


async def test_what_was_taken_over_is_counted_with_its_cause(bench: Bench, tmp_path: Path) -> None:
    await hold_in_slot(bench, "old", "a", "b", "c")
    successor = Successor(bench, tmp_path)
    await successor.join()
    assert successor.recovered.to_waiting[Cause.RESTARTED] == 3
    assert not any(successor.recovered.to_dead.values())


async def test_a_takeover_goes_on_until_its_predecessor_holds_nothing(bench: Bench) -> None:
    await hold_in_slot(bench, "old", *[f"t{number}" for number in range(450)])  # one step takes 200
    assert await run_plan_async(bench.link, take_over(bench.name, SLOT)) == Takeover(
        "old", waiting=450, dead=0, cause=Cause.RESTARTED
    )
    assert (await bench.snapshot())["waiting"] == [f"t{number}" for number in range(450)]


async def test_a_successor_that_died_before_it_had_recovered_hides_nothing_from_the_next_one(bench: Bench) -> None:
    await hold_in_slot(bench, "old", "a")
    await bench.run(bench.workers.declare_dead("old", CONTAINER_RESTARTED))  # and then it was killed

    assert await run_plan_async(bench.link, take_over(bench.name, SLOT)) == Takeover(
        "old", waiting=1, dead=0, cause=Cause.RESTARTED
    )
    assert (await bench.snapshot())["waiting"] == ["a"]


async def test_a_takeover_beside_its_own_registration_does_not_declare_itself_dead(
    bench: Bench, tmp_path: Path
) -> None:
    """The beat child takes over while the worker imports its app; one that is slow finds the worker registered."""
    successor = Successor(bench, tmp_path)
    worker = await successor.join()

    async with bench.changes() as changes:
        assert await run_plan_async(bench.link, take_over(bench.name, SLOT, successor.identity.is_mine)) is None
    assert changes == {}
    assert (await bench.run(bench.workers.beat(worker, 15_000))).registered


async def test_a_second_tenure_of_the_same_process_takes_back_what_the_first_one_left(
    bench: Bench, tmp_path: Path
) -> None:
    successor = Successor(bench, tmp_path)
    first = await successor.join()
    await bench.enqueue("a")
    await bench.fetch(first)
    second = await successor.join()
    assert first != second
    assert (await bench.snapshot())["waiting"] == ["a"]


async def test_a_declaration_of_death_that_arrives_late_touches_nobody(bench: Bench) -> None:
    await hold_in_slot(bench, "old", "a")
    await bench.run(bench.workers.declare_dead("old", "its process ended"))
    await bench.run(bench.broker.recover("old"))
    await bench.register("new", slot=SLOT)

    async with bench.changes() as changes:
        assert not await bench.run(bench.workers.declare_dead("old", "its process ended"))
    assert changes == {}


async def test_the_evidence_says_how_it_is_known_unless_somebody_knew_more(bench: Bench) -> None:
    await hold_in_slot(bench, "w1", "a")
    await bench.run(bench.workers.declare_dead("w1", "its process ended"))
    await bench.run(bench.broker.recover("w1"))
    await bench.register("w2", slot=SLOT)
    await bench.fetch("w2")
    await bench.run(bench.workers.hint_gone("w2", "OOMKilled"))
    await bench.run(bench.workers.declare_dead("w2", "its process ended"))
    await bench.run(bench.broker.recover("w2"))

    task = await bench.run(bench.inspector.get("a"))
    assert task is not None
    assert [json.loads(line)["reason"] for line in task.evidence] == ["its process ended", "OOMKilled"]


async def test_who_resigns_gets_its_tasks_back_to_waiting_in_two_beats_and_nobody_is_charged(
    bench: Bench, tmp_path: Path
) -> None:
    successor = Successor(bench, tmp_path)
    worker = await successor.join()
    await bench.enqueue("a")
    await bench.fetch(worker)

    await successor.registrar.resign(worker, "its code can't be stopped")

    assert successor.beats_ended, "another beat would take it back"
    assert (await bench.run(bench.broker.recover(worker))).verdict == "alive"
    await bench.clock.advance(2_001)
    while (verdict := (await bench.run(bench.broker.recover(worker))).verdict) == "suspected":
        await bench.clock.advance(1_000)
    task = await bench.run(bench.inspector.get("a"))
    assert task is not None
    assert (verdict, task.state, task.crashes, task.evidence) == ("dead", "waiting", 0, ())


async def test_who_sees_the_end_later_than_the_successor_still_says_in_the_evidence_what_it_was(bench: Bench) -> None:
    """The operator hears of it from the kubelet, in a second or two; a container is back sooner."""
    await hold_in_slot(bench, "old", "a")
    await run_plan_async(bench.link, take_over(bench.name, SLOT))
    before = await bench.run(bench.inspector.get("a"))
    assert [one["reason"] for one in evidence(before)] == [CONTAINER_RESTARTED]

    await bench.run(bench.workers.hint_gone("old", "OOMKilled, exit code 137"))
    after = await bench.run(bench.inspector.get("a"))
    assert before is not None
    assert after is not None
    assert [one["reason"] for one in evidence(after)] == ["OOMKilled, exit code 137"]
    assert [one | {"reason": ""} for one in evidence(after)] == [one | {"reason": ""} for one in evidence(before)]
    assert replace(after, evidence=before.evidence) == before
    assert "untold" not in await bench.snapshot()

    await bench.run(bench.workers.hint_gone("old", "another"))  # a second word changes nothing
    assert await bench.run(bench.inspector.get("a")) == after


async def test_a_word_between_the_two_steps_of_a_takeover_is_not_lost(bench: Bench) -> None:
    await hold_in_slot(bench, "old", "a")
    await bench.run(bench.workers.declare_dead("old", CONTAINER_RESTARTED))
    await bench.run(bench.workers.hint_gone("old", "OOMKilled, exit code 137"))
    assert (await bench.run(bench.broker.recover("old"))).verdict == "dead"
    assert [one["reason"] for one in evidence(await bench.run(bench.inspector.get("a")))] == [
        "OOMKilled, exit code 137"
    ]
    assert "untold" not in await bench.snapshot()


async def test_of_each_of_several_ends_the_right_one_is_said(bench: Bench) -> None:
    await hold_in_slot(bench, "first", "a")
    await run_plan_async(bench.link, take_over(bench.name, SLOT))
    await bench.register("second", slot=SLOT)
    await bench.fetch("second", 1)
    await run_plan_async(bench.link, take_over(bench.name, SLOT))
    await bench.run(bench.workers.hint_gone("second", 'Error "x"\\, exit code 1'))
    told = evidence(await bench.run(bench.inspector.get("a")))
    assert [(one["worker"], one["reason"]) for one in told] == [
        ("first", CONTAINER_RESTARTED),
        ("second", 'Error "x"\\, exit code 1'),
    ]


async def test_what_nobody_ever_explains_is_not_kept_for_ever(bench: Bench) -> None:
    for number in range(100):
        await bench.write("HSET", bench.keys.untold, f"w{number}", f"t{number}\n{CONTAINER_RESTARTED}")
    await hold_in_slot(bench, "old", "a")
    await run_plan_async(bench.link, take_over(bench.name, SLOT))
    assert list((await bench.snapshot())["untold"]) == ["old"]


async def test_a_word_on_a_task_that_is_gone_brings_nothing_back(bench: Bench) -> None:
    await hold_in_slot(bench, "old", "a")
    await run_plan_async(bench.link, take_over(bench.name, SLOT))
    await bench.run(bench.broker.cancel("a"))
    await bench.run(bench.workers.hint_gone("old", "OOMKilled"))
    assert await bench.run(bench.inspector.get("a")) is None
    assert "untold" not in await bench.snapshot()


def evidence(task: Task | None) -> list[dict[str, object]]:
    assert task is not None
    return [json.loads(one) for one in task.evidence]
