"""Somebody else decides on the number of workers: kubectl scale, a real HPA. Drains and limits hold."""

from typing import Any

import pytest
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _wish(queue: SceneQueue) -> Any:
    return queue.live()["spec"].get("replicas")


def test_kubectl_scale_sets_the_workers_within_the_bounds_and_only_idle_ones_go(queue: SceneQueue) -> None:
    queue.create(worker={"concurrency": 1}, scaling={"mode": "External", "minReplicas": 1, "maxReplicas": 3})
    until("a first number", lambda: _wish(queue), lambda n: n == 1, timeout_s=20)
    queue.kubectl.scale(f"taskqueue/{queue.name}", 3)
    queue.wait_workers(3)
    queue.kubectl.scale(f"taskqueue/{queue.name}", 9)
    throughout("no more than maxReplicas", queue.replicas, lambda n: n == 3, for_s=3)

    running = queue.post("work", {"seconds": 12}, count=2)
    queue.wait_figures("two are busy", lambda f: f["active"] == 2)
    queue.kubectl.scale(f"taskqueue/{queue.name}", 1)
    until("the idle one goes", queue.replicas, lambda n: n == 2, timeout_s=10)
    throughout("the busy ones stay", queue.replicas, lambda n: n == 2, for_s=3)
    assert queue.figures()["completed"] == 0
    queue.wait_completed(2, timeout_s=30)
    until("then the second one goes", queue.replicas, lambda n: n == 1, timeout_s=20)
    queue.kubectl.scale(f"taskqueue/{queue.name}", 0)
    throughout("no fewer than minReplicas", queue.replicas, lambda n: n == 1, for_s=3)

    assert sorted(queue.begun()) == sorted(running), "each ran once"
    assert queue.live()["status"]["scaling"]["reason"] == "External"
    assert queue.condition("ScalingActive")["reason"] == "External"


def test_an_hpa_moves_a_taskqueue_as_it_moves_a_deployment(queue: SceneQueue) -> None:
    """Without metrics an HPA still keeps its bounds, which shows that it reads and writes the scale."""
    queue.create(scaling={"mode": "External", "maxReplicas": 4})
    until("a first number", lambda: _wish(queue), lambda n: n == 1, timeout_s=20)
    target = {"apiVersion": "ferryman.dev/v1alpha1", "kind": "TaskQueue", "name": queue.name}
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": queue.name},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 2,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }
    queue.kubectl.apply(hpa)
    until("the HPA's least", lambda: _wish(queue), lambda n: n == 2, timeout_s=40)
    queue.wait_workers(2)
    bounds = {"minReplicas": 1, "maxReplicas": 1}
    queue.kubectl.apply({**hpa, "spec": {**hpa["spec"], **bounds}})  # type: ignore[dict-item]
    until("the HPA's most", lambda: _wish(queue), lambda n: n == 1, timeout_s=40)
    until("one worker goes, drained", queue.replicas, lambda n: n == 1, timeout_s=20)
    status = queue.kubectl.get("hpa", queue.name)
    assert status is not None
    able = {one["type"]: one["status"] for one in status["status"]["conditions"]}
    assert able["AbleToScale"] == "True", "it found the scale subresource and its selector"
