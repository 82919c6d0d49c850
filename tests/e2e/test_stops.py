"""Stopping a queue by its spec, and its scaling by annotations."""

import pytest
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_hold_lets_what_runs_end_and_gives_out_nothing_new(queue: SceneQueue) -> None:
    queue.create(worker={"concurrency": 2}, scaling={"minReplicas": 1, "maxReplicas": 1})
    [pod] = queue.wait_workers(1)
    running = queue.post("work", {"seconds": 4}, count=2)
    queue.wait_figures("both run", lambda f: f["active"] == 2)
    queue.change(stopPolicy="Hold")
    condition = queue.wait_condition("Paused", "True", timeout_s=10)
    assert (condition["reason"], condition["message"]) == ("StopPolicy", "spec.stopPolicy is Hold")
    later = queue.post("work", {"seconds": 0.1}, count=3)
    queue.wait_completed(2)
    throughout("three wait", lambda: queue.figures()["waiting"], lambda n: n == 3, for_s=4)
    assert [one["metadata"]["uid"] for one in queue.pods()] == [pod["metadata"]["uid"]], "workers stay"
    queue.change(stopPolicy="None")
    queue.wait_completed(5, timeout_s=20)
    assert sorted(queue.begun()) == sorted(running + later), "each ran once"
    queue.wait_condition("Paused", "False", timeout_s=10)


def test_hold_and_drain_removes_each_worker_when_it_has_finished(queue: SceneQueue) -> None:
    queue.create(worker={"concurrency": 1}, scaling={"minReplicas": 2, "maxReplicas": 2})
    queue.wait_workers(2)
    [long_task] = queue.post("work", {"seconds": 12})
    queue.wait_figures("it runs", lambda f: f["active"] == 1)
    queue.change(stopPolicy="HoldAndDrain")
    queue.wait_condition("Paused", "True", timeout_s=10)
    waiting = queue.post("work", {"seconds": 0.1}, count=2)
    until("no workers are asked for", queue.replicas, lambda n: n == 0, timeout_s=40)
    assert queue.records([long_task])[0]["state"] == "completed", "the busy one was waited for"
    figures = queue.figures()
    assert (figures["completed"], figures["waiting"], figures["unaccounted"]) == (1, 2, 0)
    throughout("nothing brings workers back", queue.replicas, lambda n: n == 0, for_s=4)
    queue.change(stopPolicy="None")
    queue.wait_completed(3, timeout_s=60)
    assert {task["state"] for task in queue.records(waiting)} == {"completed"}
    events = queue.events()
    assert [one for one in events if one.startswith("Paused spec.stopPolicy is HoldAndDrain")]
    assert [one for one in events if one.startswith("ScaledDown 2 -> 0: on hold")]


def test_annotations_keep_the_number_of_workers_and_not_the_tasks(queue: SceneQueue) -> None:
    queue.create(worker={"concurrency": 1}, scaling={"maxReplicas": 3, "cooldown": "2s"})
    queue.wait_ready()
    queue.annotate("ferryman.dev/paused-replicas=2")
    queue.wait_workers(2)
    queue.wait_condition("Paused", "True", timeout_s=10)
    queue.post("work", {"seconds": 0.2}, count=100)
    throughout("two of them", queue.replicas, lambda n: n == 2, for_s=4)
    queue.wait_completed(100)

    queue.annotate("ferryman.dev/paused-replicas-", "ferryman.dev/paused-scale-in=true")
    throughout("nobody goes", queue.replicas, lambda n: n == 2, for_s=6)
    queue.annotate("ferryman.dev/paused-scale-in-", "ferryman.dev/paused-scale-out=true")
    until("all go", queue.replicas, lambda n: n == 0, timeout_s=30)
    queue.post("work", {"seconds": 0.1})
    throughout("nobody comes", queue.replicas, lambda n: n == 0, for_s=4)
    queue.annotate("ferryman.dev/paused-scale-out-")
    queue.wait_completed(101, timeout_s=30)
