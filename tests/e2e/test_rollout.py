"""Workers that go without interrupting anything: a new template, and a drained node."""

import json

import pytest
from ferryman_e2e.kubectl import Refused
from ferryman_e2e.operator_metrics import OperatorMetrics
from ferryman_e2e.scene_queue import Object, SceneQueue, name_of
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _uids(pods: list[Object]) -> set[str]:
    return {str(pod["metadata"]["uid"]) for pod in pods}


def _evict(queue: SceneQueue, pod: Object) -> None:
    """As `kubectl drain` does. Raises Refused when the PodDisruptionBudget says so."""
    metadata = {"name": name_of(pod), "namespace": queue.kubectl.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{queue.kubectl.namespace}/pods/{name_of(pod)}/eviction"
    queue.kubectl.run("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))


def test_a_new_template_replaces_busy_workers_without_interrupting_a_task(
    queue: SceneQueue, operator_metrics: OperatorMetrics
) -> None:
    queue.create(worker={"concurrency": 2}, scaling={"minReplicas": 3, "maxReplicas": 3})
    old = _uids(queue.wait_workers(3))
    ids = queue.post("work", {"seconds": 5}, count=12)
    queue.wait_figures("all are busy", lambda f: f["active"] == 6)
    queue.change(worker={"env": [{"name": "RELEASE", "value": "2"}]})
    until("only new pods run", lambda: _uids(queue.pods()), lambda found: not found & old, timeout_s=60)
    queue.wait_workers(3)
    queue.wait_completed(12, timeout_s=60)
    journal = queue.journal()
    assert sorted(entry.id for entry in journal if entry.event == "begin") == sorted(ids), "each began once"
    assert sorted(entry.id for entry in journal if entry.event == "end") == sorted(ids)
    assert {task["deliveries"] for task in queue.records(ids)} <= {1, 2}, "look-ahead may have gone back unstarted"
    assert operator_metrics.interrupted(queue.name) == 0
    assert queue.figures()["recovered"] == 0


@pytest.mark.alone  # the task of 15 s outlives the grace of 8 s if the new pod takes less than 7 s to start
def test_what_outlives_the_grace_of_a_rollout_is_counted_and_told(
    queue: SceneQueue, operator_metrics: OperatorMetrics
) -> None:
    """The measure that must stay at zero can move."""
    grace = {"spec": {"terminationGracePeriodSeconds": 8}}
    queue.create(worker={"concurrency": 1, "template": grace}, scaling={"minReplicas": 1, "maxReplicas": 1})
    old = _uids(queue.wait_workers(1))
    [task] = queue.post("work", {"seconds": 15})
    queue.wait_figures("it runs", lambda f: f["active"] == 1)
    queue.change(worker={"env": [{"name": "RELEASE", "value": "2"}]})
    until("only new pods run", lambda: _uids(queue.pods()), lambda found: not found & old, timeout_s=40)
    until("it is counted", lambda: operator_metrics.interrupted(queue.name), lambda n: n == 1, timeout_s=30)
    queue.wait_completed(1, timeout_s=40)
    record = queue.records([task])[0]
    assert (record["state"], record["crashes"], record["deliveries"]) == ("completed", 0, 2)
    assert [one for one in queue.events() if one.startswith("TasksInterrupted 1 tasks of")]


def test_a_node_drain_takes_one_worker_at_a_time_and_loses_nothing(
    queue: SceneQueue, operator_metrics: OperatorMetrics
) -> None:
    queue.create(worker={"concurrency": 1}, scaling={"minReplicas": 3, "maxReplicas": 3})
    pods = queue.wait_workers(3)
    ids = queue.post("work", {"seconds": 4}, count=9)
    queue.wait_figures("all are busy", lambda f: f["active"] == 3)
    _evict(queue, pods[0])
    with pytest.raises(Refused, match="disruption budget"):
        _evict(queue, pods[1])
    queue.wait_completed(9, timeout_s=60)
    assert sorted(queue.begun()) == sorted(ids), "the evicted worker had its grace"
    queue.wait_workers(3)
    assert name_of(pods[0]) not in {name_of(pod) for pod in queue.pods()}
    figures = queue.figures()
    assert (figures["recovered"], figures["dead"], figures["unaccounted"]) == (0, 0, 0)
    assert operator_metrics.interrupted(queue.name) == 0
