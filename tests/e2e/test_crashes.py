"""Workers that die in the middle of their tasks: nothing is lost, and only what they ran can run twice."""

import time

import pytest
from ferryman_e2e.node import Node
from ferryman_e2e.scene_queue import SceneQueue, name_of
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_TASKS = 200
_WORKERS = 4
_CONCURRENCY = 2


def test_two_of_four_workers_die_and_all_tasks_are_done(queue: SceneQueue, node: Node) -> None:
    queue.create(
        worker={"concurrency": _CONCURRENCY},
        scaling={"minReplicas": _WORKERS, "maxReplicas": _WORKERS},
        crashes={"workerTimeout": "5s"},
    )
    pods = queue.wait_workers(_WORKERS, timeout_s=90)
    ids = queue.post("work", {"seconds": 0.2}, count=_TASKS)
    assert len(set(ids)) == _TASKS

    queue.wait_figures("all workers are busy", lambda f: f["completed"] >= 10 and f["active"] >= _WORKERS, timeout_s=30)
    killed, deleted = pods[0], pods[1]
    node.kill_worker(killed)
    queue.kubectl.run("delete", "pod", name_of(deleted), "--force", "--grace-period=0")
    at_kill = queue.figures()
    assert at_kill["completed"] < _TASKS, "the kills came too late to prove anything"
    since = time.monotonic()

    queue.wait_completed(_TASKS, timeout_s=60)
    print(f"all done {time.monotonic() - since:.1f} s after the kills (at {at_kill['completed']} of {_TASKS})")

    # Each id accounted for, by the tasks' own records and by the figures.
    assert {task["state"] for task in queue.records(ids)} == {"completed"}
    figures = queue.figures()
    assert (figures["enqueued"], figures["completed"]) == (_TASKS, _TASKS)
    assert figures["waiting"] == figures["active"] == figures["delayed"] == figures["dead"] == 0
    assert figures["unaccounted"] == 0

    # And by what really ran: every task, and twice only what was in flight in a worker that died.
    journal = queue.journal()
    victims = {name_of(killed), name_of(deleted)}
    begun = [entry.id for entry in journal if entry.event == "begin"]
    assert set(begun) == set(ids)
    twice = {task_id for task_id in begun if begun.count(task_id) > 1}
    first_in = {entry.id: entry.pod for entry in reversed(journal) if entry.event == "begin"}
    print(f"begun twice: {len(twice)} (at most {2 * _CONCURRENCY} were in flight); recovered: {figures['recovered']}")
    assert len(begun) - _TASKS <= 2 * _CONCURRENCY
    assert {first_in[task_id] for task_id in twice} <= victims
    queue.wait_workers(_WORKERS)


def test_a_task_that_kills_its_worker_ends_in_dead_and_its_neighbours_complete(queue: SceneQueue) -> None:
    queue.create(
        worker={"concurrency": 5},
        scaling={"minReplicas": 2, "maxReplicas": 2},
        crashes={"workerTimeout": "5s", "max": 2},
    )
    queue.wait_workers(2)
    neighbours = queue.post("work", {"seconds": 0.5}, count=20)
    [pill] = queue.post("crash")
    neighbours += queue.post("work", {"seconds": 0.5}, count=10)

    queue.wait_completed(30, timeout_s=120)
    until("the pill is dead", lambda: queue.records([pill])[0]["state"], lambda state: state == "dead", timeout_s=120)
    record = queue.records([pill])[0]
    assert record["crashes"] == 2
    assert record["evidence"], "a dead task says which workers it took along"
    assert {task["state"] for task in queue.records(neighbours)} == {"completed"}
    assert queue.figures()["unaccounted"] == 0

    # A person has the last word.
    queue.api.request("POST", f"/queues/{queue.name}/reset", {"confirm": queue.name, "states": ["dead"]})
    figures = queue.figures()
    assert (figures["dead"], figures["discarded"], figures["unaccounted"]) == (0, 1, 0)
