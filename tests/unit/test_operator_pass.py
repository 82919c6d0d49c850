"""Whole passes: real scripts on fakeredis, and an API server that is a dict. The clock stands still unless moved."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from ferryman_operator import names
from ferryman_operator.applier import Applier
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.children import Children
from ferryman_operator.cluster import ClusterError, Conflict, Forbidden, Invalid
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.policy import Policy, QueuePolicy
from ferryman.task import NewTask, TaskState
from ferryman.workers import WorkerInfo, WorkerRegistry

UID = "pod1"
WORKER = f"{UID}.worker.1"


class FakeCluster:
    """The API server's part: it keeps objects, counts generations and writes, and refuses what it is told to."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.events: list[str] = []
        self.refuse: dict[str, ClusterError] = {}
        self.conflicts = 0
        self.version = 100

    def add(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.version += 1
        kind, name = Kind(body["kind"]), body["metadata"]["name"]
        old = self.objects.get((kind, name))
        stored: dict[str, Any] = copy.deepcopy({**(old or {}), **body})
        generation = old["metadata"]["generation"] + (old["spec"] != body["spec"]) if old else 1
        uid = old["metadata"]["uid"] if old else f"uid-{self.version}"
        stored["metadata"] = {
            "uid": uid, **stored["metadata"], "generation": generation, "resourceVersion": str(self.version)
        }  # fmt: skip
        self.objects[kind, name] = stored
        return copy.deepcopy(stored)

    async def apply(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        self.writes.append(f"{kind} {body['metadata']['name']}")
        if error := self.refuse.get(kind):
            raise error
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict(409, "somebody else wrote")
        return self.add(body)

    async def patch_status(self, namespace: str, name: str, status: Mapping[str, Any]) -> dict[str, Any]:
        self.writes.append("status")
        body = self.objects[Kind.TASK_QUEUE, name]
        return self.add({**body, "status": {**body.get("status", {}), **status}})

    async def create_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(f"{event['reason']} {event['message']}")


class Scene:
    """One TaskQueue, `q`, and everything around it."""

    def __init__(self, link: Link, **spec: Any) -> None:
        self.link, self.world, self.cluster = link, World(), FakeCluster()
        settings = OperatorSettings(scheduler_image="scheduler:1")
        cluster: Any = self.cluster
        children = Children(self.world, Applier(cluster, self.world), settings)
        reporter = Reporter(self.world, cluster)
        self.redis_pass = RedisPass(self.world, children, reporter, Endpoints(cluster), settings)
        whole = {
            "redis": {"url": "redis://r:6379/0"},
            "worker": {"image": "acme:1", "app": "acme.tasks"},
            "scaling": {"cooldown": "0s"},
        }
        self.tracked = Tracked.of(self.taskqueue(whole | spec))

    def taskqueue(self, spec: dict[str, Any], uid: str = "uid-q") -> dict[str, Any]:
        return self.cluster.add(
            {"kind": "TaskQueue", "metadata": {"namespace": "ns", "name": "q", "uid": uid}, "spec": spec}
        )

    async def turn(self, link: Link | Unmeasured | None = None) -> None:
        await self.redis_pass.run(link or self.link, [self.tracked])

    def change(self, **spec: Any) -> None:
        body = self.cluster.objects[Kind.TASK_QUEUE, "q"]
        self.tracked.update(self.taskqueue(body["spec"] | spec))

    def delete(self, kind: Kind, name: str) -> None:
        self.world.observe(kind, "DELETED", self.cluster.objects.pop((kind, name)))

    def pod(self, *, ready: bool = True) -> None:
        """The one worker pod runs, as the kubelet and the Deployment's controller would report it."""
        labels = {"app.kubernetes.io/instance": "q"}
        metadata = {"namespace": "ns", "name": "q-worker-1", "uid": UID, "labels": labels, "resourceVersion": "1"}
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"name": "worker", "ready": ready, "state": {"running": {}}}],
        }
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
        self.world.observe(Kind.POD, "MODIFIED", {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status})

    async def worker(self) -> None:
        info = WorkerInfo(WORKER, "", "q-worker-1", 15_000, 1_000, 10, "acme.tasks", "1")
        await self.link.run(WorkerRegistry("q").register(info, Manifest("acme.tasks", {})))
        self.pod()

    async def post(self, count: int) -> None:
        await self.link.run(Broker("q").enqueue([NewTask(f"t{i}", "send", b"{}") for i in range(count)]))

    async def policy(self) -> Policy:
        return await self.link.run(QueuePolicy("q").read())

    def replicas(self) -> int:
        number: int = self.cluster.objects[Kind.DEPLOYMENT, "q-worker"]["spec"]["replicas"]
        return number

    def suspended(self) -> bool:
        state: bool = self.cluster.objects[Kind.CRON_JOB, "q-recovery"]["spec"]["suspend"]
        return state

    def condition(self, name: str) -> str:
        status = self.cluster.objects[Kind.TASK_QUEUE, "q"]["status"]
        found = next(one for one in status["conditions"] if one["type"] == name)
        return f"{found['status']} {found['reason']}"


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
