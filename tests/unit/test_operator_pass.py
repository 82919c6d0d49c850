"""Whole passes: real scripts on fakeredis, and an API server that is a dict. The clock stands still unless moved."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from ferryman_bench.operator_scene import UID, WORKER, Scene
from ferryman_operator import names
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.cluster import Forbidden, Invalid
from ferryman_operator.redis_pass import LATE_S
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind

from ferryman.broker import Broker
from ferryman.call import Call
from ferryman.cause import CONTAINER_RESTARTED
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.policy import QueuePolicy
from ferryman.task import TaskState
from ferryman.workers import WorkerRegistry


@pytest.fixture
async def scene(fake_link: Link) -> Scene:
    return Scene(fake_link)


async def test_a_new_taskqueue_gets_all_its_children_and_no_workers(scene: Scene) -> None:
    await scene.turn()
    made = {(kind.value, name) for kind, name in scene.cluster.objects if kind is not Kind.TASK_QUEUE}
    scheduler = names.scheduler_deployment(scene.tracked.spec.redis) if scene.tracked.spec else ""
    assert made == {
        ("Deployment", "q-worker"),
        ("Deployment", scheduler),
        ("CronJob", "q-recovery"),
        ("PodDisruptionBudget", "q-worker"),
    }
    assert (scene.replicas(), scene.suspended()) == (0, True)
    assert (await scene.policy()).generation == 1


async def test_nothing_is_written_when_nothing_happens(scene: Scene) -> None:
    await scene.turn()
    scene.cluster.writes.clear()
    for _ in range(5):
        await scene.turn()
    assert scene.cluster.writes == []


async def test_tasks_bring_workers_in_the_next_pass_and_recovery_before_them(scene: Scene) -> None:
    await scene.turn()
    scene.cluster.writes.clear()
    await scene.post(200)
    await scene.turn()
    assert (scene.replicas(), scene.suspended()) == (4, False)
    assert [write for write in scene.cluster.writes if write != "status"] == [
        "CronJob q-recovery",
        "Deployment q-worker",
    ]
    assert scene.cluster.events[-1] == "ScaledUp 0 -> 4: 200 waiting, 0 running, 1 s each, target 5 s"


async def test_workers_are_not_raised_when_recovery_cannot_be(scene: Scene) -> None:
    await scene.turn()
    await scene.post(200)
    scene.cluster.refuse["CronJob"] = Forbidden(403, "cannot patch resource cronjobs")
    await scene.turn()
    assert scene.replicas() == 0
    assert scene.condition("Ready") == "False Forbidden"
    scene.cluster.refuse.clear()
    await scene.turn()
    assert scene.replicas() == 4


async def test_an_idle_worker_drains_before_its_pod_goes(scene: Scene) -> None:
    await scene.turn()
    await scene.post(1)
    await scene.turn()
    await scene.worker()
    await scene.link.run(Broker("q").discard(TaskState.WAITING))
    await scene.turn()
    [row] = await scene.link.run(WorkerRegistry("q").list())
    assert (row.draining, scene.replicas()) == (True, 1)
    await scene.turn()
    assert scene.replicas() == 0
    assert scene.suspended() is False, "the worker is still registered"


async def test_a_busy_worker_is_not_taken(scene: Scene) -> None:
    await scene.turn()
    await scene.post(1)
    await scene.turn()
    await scene.worker()
    await scene.link.run(Broker("q").fetch(WORKER, 1))
    scene.change(stopPolicy="HoldAndDrain")
    for _ in range(3):
        await scene.turn()
    assert scene.replicas() == 1
    assert scene.condition("Paused") == "True StopPolicy"
    assert (await scene.policy()).hold is True


async def test_a_hold_of_the_spec_ends_with_it_and_one_by_hand_does_not(scene: Scene) -> None:
    scene.change(stopPolicy="Hold")
    await scene.turn()
    await scene.turn()
    scene.change(stopPolicy="None")
    await scene.turn()
    assert (await scene.policy()).hold is False
    await scene.turn()
    await scene.link.run(QueuePolicy("q").hold(True))
    await scene.turn()
    await scene.turn()
    assert ((await scene.policy()).hold, scene.condition("Paused")) == (True, "True HeldByHand")


async def test_a_hold_of_the_spec_ends_even_when_the_first_order_to_end_it_is_lost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.change(stopPolicy="Hold")
    await scene.turn()
    await scene.turn()
    scene.change(stopPolicy="None")
    with monkeypatch.context() as lost:
        send = scene.redis_pass._send

        async def nothing(link: Link, orders: object) -> None: ...

        lost.setattr(scene.redis_pass, "_send", nothing)
        await scene.turn()
    assert (scene.condition("Paused"), scene.redis_pass._send) == ("True StopPolicy", send)
    await scene.turn()
    await scene.turn()
    assert ((await scene.policy()).hold, scene.condition("Paused")) == (False, "False Running")
    told = [event.partition(" ")[0] for event in scene.cluster.events if event.startswith(("Paused", "Resumed"))]
    assert told == ["Paused", "Resumed"]


async def test_without_redis_replicas_stay_and_drift_still_heals(scene: Scene) -> None:
    await scene.turn()
    await scene.post(200)
    await scene.turn()
    scene.delete(Kind.DISRUPTION_BUDGET, "q-worker")
    await scene.turn(Unmeasured("ConnectionRefused", "Redis does not answer"))
    assert scene.replicas() == 4
    assert scene.condition("BrokerReachable") == "False ConnectionRefused"
    assert scene.condition("ScalingActive") == "False NoMeasurement"
    assert (Kind.DISRUPTION_BUDGET, "q-worker") in scene.cluster.objects
    await scene.turn()
    assert scene.condition("BrokerReachable") == "True Reachable"


async def test_a_deleted_deployment_comes_back_at_its_size(scene: Scene) -> None:
    await scene.turn()
    await scene.post(200)
    await scene.turn()
    scene.delete(Kind.DEPLOYMENT, "q-worker")
    await scene.turn()
    assert scene.replicas() == 4


async def test_an_edited_deployment_is_set_right(scene: Scene) -> None:
    await scene.turn()
    await scene.post(200)
    await scene.turn()
    edited = copy.deepcopy(scene.cluster.objects[Kind.DEPLOYMENT, "q-worker"])
    edited["spec"]["replicas"] = 1
    edited["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    scene.world.observe(Kind.DEPLOYMENT, "MODIFIED", scene.cluster.add(edited))
    await scene.turn()
    assert scene.replicas() == 4
    template = scene.cluster.objects[Kind.DEPLOYMENT, "q-worker"]["spec"]["template"]["spec"]
    assert template["containers"][0]["image"] == "acme:1"


async def test_policy_is_written_again_when_redis_has_lost_it(scene: Scene) -> None:
    await scene.turn()
    await scene.link.client.flushall()
    await scene.turn()
    assert (await scene.policy()).generation == 1


async def test_a_queue_that_another_taskqueue_owns_is_left_alone(scene: Scene, fake_link: Link) -> None:
    await scene.turn()
    second = Scene(fake_link)
    other = {**scene.tracked.body["spec"], "retries": {"maxAttempts": 9}}
    second.tracked = Tracked.of(second.taskqueue(other, uid="uid-second"))
    await second.turn()
    assert second.condition("Ready") == "False QueueClaimed"
    assert [kind for kind, _ in second.cluster.objects] == [Kind.TASK_QUEUE]
    assert (await scene.policy()).max_attempts == 5


async def test_a_template_that_the_api_server_rejects_is_an_invalid_spec(scene: Scene) -> None:
    scene.cluster.refuse["Deployment"] = Invalid(422, "spec.template.spec.containers[0].image: Required value")
    await scene.turn()
    assert scene.condition("SpecValid") == "False InvalidSpec"
    scene.cluster.refuse.clear()
    await scene.turn()
    assert scene.condition("SpecValid") == "True Valid"


async def test_a_conflict_is_tried_again(scene: Scene) -> None:
    scene.cluster.conflicts = 2
    await scene.turn()
    assert (Kind.DEPLOYMENT, "q-worker") in scene.cluster.objects


async def test_conflicts_that_do_not_end_are_no_fault_and_end_in_the_next_pass(scene: Scene) -> None:
    scene.cluster.conflicts = 1000
    await scene.turn()
    assert "ApplyFailed" not in scene.condition("Ready")
    scene.cluster.conflicts = 0
    await scene.turn()
    assert (Kind.DEPLOYMENT, "q-worker") in scene.cluster.objects


async def test_a_pass_that_no_longer_leads_writes_nothing(scene: Scene) -> None:
    await scene.redis_pass.run(scene.link, [scene.tracked], lambda: False)
    assert scene.cluster.writes == []
    assert (await scene.policy()).generation == 0, "nor to Redis"
    await scene.turn()
    await scene.post(200)
    scene.cluster.writes.clear()
    answers = iter([True, False])
    await scene.redis_pass.run(scene.link, [scene.tracked], lambda: next(answers))
    assert scene.cluster.writes == []


async def test_what_cannot_be_seen_is_not_replaced(scene: Scene) -> None:
    """Without the right to list Deployments, zero replicas would be a guess."""
    scene.world.unseen[Kind.DEPLOYMENT, "ns"] = "cannot list deployments.apps"
    await scene.turn()
    assert scene.condition("Ready") == "False Forbidden"
    assert [kind for kind, _ in scene.cluster.objects] == [Kind.TASK_QUEUE]
    scene.world.unseen.clear()
    await scene.turn()
    assert scene.replicas() == 0


async def test_workers_that_come_to_an_empty_queue_are_listed_in_the_same_pass(scene: Scene) -> None:
    """Their list is left out while there are none; acting without it would take a busy one for nobody."""
    await scene.turn()
    await scene.turn()
    await scene.worker()
    await scene.turn()
    reading = scene.tracked.reading
    assert [row.id for row in reading.workers] == [WORKER]  # type: ignore[union-attr]


async def test_an_invalid_change_leaves_the_last_good_spec_in_force(scene: Scene) -> None:
    await scene.turn()
    scene.change(scaling={"minReplicas": 5, "maxReplicas": 2})
    await scene.post(1)
    await scene.turn()
    assert scene.condition("SpecValid") == "False InvalidSpec"
    assert scene.replicas() == 1


async def test_a_worker_whose_process_ended_is_reported_to_redis_once(scene: Scene) -> None:
    await scene.turn()
    await scene.worker()
    body = {"name": "worker", "ready": True, "state": {"running": {}}}
    body["lastState"] = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "message": WORKER}}
    metadata = {"namespace": "ns", "name": "q-worker-1", "uid": UID, "resourceVersion": "9"}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"phase": "Running", "containerStatuses": [body]}
    scene.world.observe(Kind.POD, "MODIFIED", {"metadata": metadata, "status": status})
    await scene.turn()
    [row] = await scene.link.run(WorkerRegistry("q").list())
    hint = await scene.link.client.hget(WorkerRegistry("q").keys.worker(WORKER), "hint")
    assert hint == b"OOMKilled, exit code 137"
    assert row.deadline_ms - scene.tracked.reading.stats.now_ms == 2_000  # type: ignore[union-attr]
    await scene.link.run(WorkerRegistry("q").beat(WORKER, 15_000))
    await scene.turn()
    [row] = await scene.link.run(WorkerRegistry("q").list())
    assert row.deadline_ms - scene.tracked.reading.stats.now_ms == 15_000  # type: ignore[union-attr]


async def test_a_worker_whose_pod_was_deleted_by_force_is_reported_until_it_is_gone(scene: Scene) -> None:
    """It may live on for a while, and each of its beats takes the hint back."""
    await scene.turn()
    await scene.worker()
    body = {"name": "worker", "ready": True, "state": {"running": {}}}
    metadata = {"namespace": "ns", "name": "q-worker-1", "uid": UID, "resourceVersion": "9"}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"phase": "Running", "containerStatuses": [body]}
    pod = {"metadata": metadata, "spec": {"nodeName": "node0"}, "status": status}
    scene.world.observe(Kind.POD, "DELETED", pod)
    for _ in range(2):
        await scene.turn()
        [row] = await scene.link.run(WorkerRegistry("q").list())
        assert row.deadline_ms - scene.tracked.reading.stats.now_ms == 2_000  # type: ignore[union-attr]
        await scene.link.run(WorkerRegistry("q").beat(WORKER, 15_000))


def _ended(scene: Scene, reason: str, worker: str, version: int) -> None:
    """The kubelet says how the worker before the one that runs has ended."""
    body: dict[str, Any] = {"name": "worker", "ready": True, "state": {"running": {}}}
    code = 0 if reason == "Completed" else 137
    body["lastState"] = {"terminated": {"reason": reason, "exitCode": code, "message": worker}}
    metadata: dict[str, Any] = {"namespace": "ns", "name": "q-worker-1", "uid": UID, "resourceVersion": str(version)}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app.kubernetes.io/instance": "q"}}
    status = {"phase": "Running", "containerStatuses": [body]}
    scene.world.observe(Kind.POD, "MODIFIED", {"metadata": metadata, "status": status})


async def test_the_end_of_a_worker_is_told_once_although_its_successor_has_taken_over(scene: Scene) -> None:
    await scene.turn()
    await scene.worker()
    await scene.post(2)
    await scene.link.run(Broker("q").fetch(WORKER, 1))
    await scene.turn()
    await scene.link.client.zrem(WorkerRegistry("q").keys.workers, WORKER)  # recovered meanwhile
    for version in (7, 8):
        _ended(scene, "OOMKilled", WORKER, version)
        await scene.turn()
    told = [event for event in scene.cluster.events if event.startswith("WorkerEnded")]
    assert told == ["WorkerEnded q-worker-1: OOMKilled, exit code 137; it held 1 task"]


async def test_an_end_from_before_the_operator_began_or_a_good_one_is_no_news(scene: Scene) -> None:
    _ended(scene, "OOMKilled", f"{UID}.worker.0", 7)
    await scene.turn()
    _ended(scene, "Completed", f"{UID}.worker.1", 8)
    await scene.turn()
    assert not [event for event in scene.cluster.events if event.startswith("WorkerEnded")]


class LateLink(Link):
    """To a Redis that answers nothing in time."""

    async def run_all(self, calls: Sequence[Call[Any]]) -> list[Any]:
        raise TimeoutError


async def test_a_redis_that_is_late_once_is_no_news_and_one_that_stays_so_is(scene: Scene) -> None:
    """For one slow pass a thousand statuses would be written twice."""
    await scene.turn()
    known, late = list(scene.cluster.writes), LateLink(scene.link.client)
    await scene.turn(late)
    assert isinstance(scene.tracked.reading, Unmeasured), "nothing is decided on an old measurement"
    await scene.turn()
    assert scene.cluster.writes == known

    scene.tracked.measured_s -= LATE_S
    await scene.turn(late)
    assert scene.condition("BrokerReachable") == "False Timeout"
    await scene.turn()
    assert scene.condition("BrokerReachable") == "True Reachable"


async def test_a_redis_that_is_gone_is_told_of_at_once(scene: Scene) -> None:
    await scene.turn()
    await scene.turn(Link.from_url("redis://127.0.0.1:1/0"))
    assert scene.condition("BrokerReachable") == "False ConnectionRefused"


async def test_of_what_a_worker_died_gets_into_the_evidence_although_its_successor_was_faster(scene: Scene) -> None:
    """However the kubelet's word and the new process's takeover race."""
    await scene.turn()
    await scene.worker()
    await scene.post(1)
    [task] = (await scene.link.run(Broker("q").fetch(WORKER, 1))).tasks
    await scene.turn()
    await scene.link.run(WorkerRegistry("q").declare_dead(WORKER, CONTAINER_RESTARTED))
    await scene.link.run(Broker("q").recover(WORKER))
    for version in (7, 8):
        _ended(scene, "OOMKilled", WORKER, version)
        await scene.turn()
    record = await scene.link.run(Inspector("q").get(task.id))
    assert record is not None
    assert ["OOMKilled, exit code 137" in one for one in record.evidence] == [True]
    assert (record.crashes, record.attempt) == (1, 0)
    assert scene.tracked.explained == {WORKER}
