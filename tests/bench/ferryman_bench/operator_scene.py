"""A scene for the operator: one TaskQueue, an API server that is a dict, and Redis; passes run when told to."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ferryman_operator.applier import Applier
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.children import Children
from ferryman_operator.cluster import ClusterError, Conflict
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.redis_pass import RedisPass
from ferryman_operator.reporter import Reporter
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.new_task import NewTask
from ferryman.policy import Policy, QueuePolicy
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

    async def patch_status(
        self, namespace: str, name: str, status: Mapping[str, Any], kind: Kind = Kind.TASK_QUEUE
    ) -> dict[str, Any]:
        self.writes.append("status" if kind is Kind.TASK_QUEUE else f"status {kind} {name}")
        body = self.objects[kind, name]
        return self.add({**body, "status": {**body.get("status", {}), **status}})

    async def create_event(self, event: Mapping[str, Any]) -> None:
        self.events.append(f"{event['reason']} {event['message']}")

    async def patch_event(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        self.events.append(f"again {change['count']}")

    async def set_finalizers(self, body: Mapping[str, Any], finalizers: Sequence[str]) -> dict[str, Any]:
        self.writes.append(f"finalizers {', '.join(finalizers)}")
        live = self.objects[Kind.TASK_QUEUE, body["metadata"]["name"]]
        if live["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "somebody else wrote")
        return self.add({**live, "metadata": {**live["metadata"], "finalizers": list(finalizers)}})

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        self.writes.append(f"delete {kind} {name}")
        self.objects.pop((kind, name), None)


class Scene:
    """One TaskQueue, `q`, and everything around it."""

    settings = OperatorSettings(scheduler_image="scheduler:1")

    def __init__(self, link: Link, **spec: Any) -> None:
        self.link, self.world, self.cluster = link, World(), FakeCluster()
        settings = self.settings
        cluster: Any = self.cluster
        children = self.children = Children(self.world, Applier(cluster, self.world), settings)
        self.reporter = reporter = Reporter(self.world, cluster)
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
        self.tracked.update(self.cluster.add({**body, "spec": body["spec"] | spec}))

    def annotate(self, **annotations: str) -> None:
        body = self.cluster.objects[Kind.TASK_QUEUE, "q"]
        named = {f"ferryman.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        self.tracked.update(self.cluster.add({**body, "metadata": {**body["metadata"], "annotations": named}}))

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
