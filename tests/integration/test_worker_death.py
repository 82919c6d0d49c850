"""Processes that die: the worker, its beat child, its nursery, and the children that run tasks."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from ferryman_yard.process import alive, children, in_pod, parent
from ferryman_yard.yard import Yard


async def test_a_worker_killed_in_mid_task_is_recovered_by_its_successor_in_the_same_container(yard: Yard) -> None:
    first = await yard.worker(**in_pod())
    await yard.enqueue_wait("a", "b")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    dead_id = (yard.directory / "termination-log").read_text()
    first.signal(signal.SIGKILL)
    second = await yard.worker(**in_pod())  # nobody else recovers, and the promise holds for another minute
    assert f"recovered {dead_id} of this container: 2 to waiting, 0 to dead" in second.said()
    assert (yard.directory / "termination-log").read_text() != dead_id
    yard.gate.touch()
    await yard.until_stats(completed=2, active=0)


async def test_a_predecessors_tasks_run_elsewhere_while_its_successor_still_imports_the_app(yard: Yard) -> None:
    first = await yard.worker(**in_pod())
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    await yard.worker(**in_pod("pod-2"))
    first.signal(signal.SIGKILL)
    successor = yard.start(**in_pod(YARD_IMPORT_TAKES="3600"))
    await yard.until(lambda: len(yard.lines("start")) == 2)
    await yard.until(lambda: yard.lines("importing"))  # the beat child is there before, and may be faster
    assert not yard.lines("imported")
    assert "1 to waiting" in successor.said()
    yard.gate.touch()
    await yard.until_stats(completed=1, active=0)


async def test_a_container_whose_app_is_broken_recovers_its_predecessor_all_the_same(yard: Yard) -> None:
    first = await yard.worker(**in_pod())
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    first.signal(signal.SIGKILL)
    broken = yard.start(**in_pod(YARD_IMPORT_TAKES="no number"))
    assert await yard.exit_code(broken) == 1
    assert "could not convert" in broken.said()
    await yard.until_stats(waiting=1, active=0, workers=0)


async def test_every_child_dies_with_a_killed_worker(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("a", name="child")
    await yard.until(lambda: yard.lines("start"))
    family = list(children(worker.process.pid))
    assert len(family) == 3, "the beat child, the nursery, and the child that runs the task"
    worker.signal(signal.SIGKILL)
    await yard.until(lambda: not any(map(alive, family)))


@pytest.mark.parametrize(
    ("exit_code", "said"), [(-signal.SIGKILL, "was killed by SIGKILL"), (-signal.SIGSEGV, "SIGSEGV"), (7, "code 7")]
)
async def test_a_task_that_kills_its_own_process_spends_its_crash_budget_and_no_attempt(
    yard: Yard, exit_code: int, said: str
) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("neighbour", name="child")
    await yard.until(lambda: yard.lines("start"))
    await yard.enqueue("pill", name="child_pill", args=f'{{"exit_code": {exit_code}}}')
    await yard.until_stats(dead=1)

    task = await yard.task("pill")
    assert (task.crashes, task.attempt) == (3, 0)
    evidence = [json.loads(line) for line in task.evidence]
    [registered] = await yard.bench.run(yard.bench.workers.list())
    assert {crash["worker"] for crash in evidence} == {registered.id}
    assert [re.findall(r"pid (\d+)", crash["reason"]) for crash in evidence] == [
        [pid] for id, pid in yard.lines("start") if id == "pill"
    ]
    assert all(said in crash["reason"] for crash in evidence)

    yard.gate.touch()
    await yard.until_stats(completed=1, active=0)
    assert len([id for id, _ in yard.lines("start") if id == "neighbour"]) == 1
    assert await yard.metric(worker, "ferryman_tasks_total") >= 4  # three crashes and a completion
    assert worker.running


async def test_a_nursery_that_dies_takes_all_children_along_and_no_task_is_charged(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="100ms")
    await yard.enqueue_wait("a", "b", name="child")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    [nursery] = {parent(int(pid)) for _, pid in yard.lines("start")}
    os.kill(nursery, signal.SIGKILL)
    assert await yard.exit_code(worker) == 1
    await yard.until_stats(waiting=2, active=0, workers=0, failed=0)
    assert [(await yard.task(id)).crashes for id in ("a", "b")] == [0, 0]


async def test_a_process_task_that_takes_too_long_is_killed(yard: Yard) -> None:
    await yard.worker()
    await yard.enqueue("a", name="child_with_timeout")
    await yard.until_stats(retried=1, active=0)
    task = await yard.bench.run(yard.bench.inspector.get("a"))
    assert task is not None
    assert "ran longer than its timeout of 0.1 s" in task.error


async def test_without_its_beat_child_a_worker_gives_its_tasks_back_and_exits_non_zero(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="100ms")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    beat_child = next(children(worker.process.pid))
    os.kill(beat_child, signal.SIGKILL)
    assert await yard.exit_code(worker) == 1
    await yard.until_stats(waiting=1, active=0, workers=0)
    assert yard.lines("cancelled") == [["a"]]
