"""Policy lives in the TaskQueue: workers follow a change in seconds, without a restart, and a condition says when."""

import time

import pytest
from ferryman_e2e.scene_queue import Object, SceneQueue, restarts
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # measures five seconds


def test_workers_follow_a_change_within_five_seconds_and_a_condition_says_so(queue: SceneQueue) -> None:
    queue.create(
        worker={"concurrency": 2},
        scaling={"minReplicas": 3, "maxReplicas": 3},
        retries={"maxAttempts": 5, "backoff": {"initial": "1h"}},
    )
    before = queue.wait_workers(3)
    queue.wait_condition("PolicySynced", "True", timeout_s=20)

    queue.change(retries={"maxAttempts": 1})
    changed_s = time.monotonic()
    generation = queue.live()["metadata"]["generation"]

    def synced() -> Object:
        return queue.condition("PolicySynced")

    until(
        "the change is followed",
        synced,
        lambda one: one["status"] == "True" and one["observedGeneration"] == generation,
        timeout_s=5,
        every_s=0.1,
    )
    print(f"PolicySynced {time.monotonic() - changed_s:.1f} s after the change")

    # With the old policy, a failed task would wait an hour for its second attempt; many, so that every worker has some.
    ids = queue.post("stumble", count=30)
    queue.wait_figures("all are dead after one attempt", lambda f: f["dead"] == 30, timeout_s=20)
    assert {(task["state"], task["attempt"]) for task in queue.records(ids)} == {("dead", 1)}
    after = queue.pods()
    assert [pod["metadata"]["uid"] for pod in after] == [pod["metadata"]["uid"] for pod in before]
    assert sum(map(restarts, after)) == 0
