"""A queue under test: one TaskQueue in a namespace of its own, whose workers run scene_app."""

import copy
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferryman_e2e.api import Api
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until

REDIS_URL = "redis://ferryman-redis.ferryman-system:6379/0"
WORKER_IMAGE = "localhost/ferryman-quickstart:dev"
SYSTEM = "ferryman-system"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal: a task began or ended in that pod, at this time of its node's clock (epoch)."""

    event: str
    id: str
    pod: str
    at_s: float


class SceneQueue:
    """The TaskQueue `name`, its children, and its tasks. The queue in Redis has the same name, new in each run."""

    def __init__(self, kubectl: Kubectl, api: Api, name: str) -> None:
        self.kubectl = kubectl
        self.api = api
        self.name = name

    # What a person does.

    def create(self, **sections: Any) -> None:
        """Applies the TaskQueue; `sections` (worker, scaling, …) are laid over small defaults."""
        app = (Path(__file__).parent / "scene_app.py").read_text(encoding="utf-8")
        configmap = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{self.name}-app"},
            "data": {"scene_app.py": app},
        }
        self.kubectl.apply(configmap, self.manifest(**sections))

    def manifest(self, **sections: Any) -> Object:
        """The TaskQueue as it is applied."""
        spec: Object = {
            "redis": {"url": REDIS_URL},
            "worker": {
                "image": WORKER_IMAGE,
                "app": "/scene/scene_app.py",
                "concurrency": 10,
                "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                "template": self._template(),
            },
            "scaling": {"minReplicas": 0, "maxReplicas": 4, "cooldown": "5s"},
        }
        return {
            "apiVersion": "ferryman.dev/v1alpha1",
            "kind": "TaskQueue",
            "metadata": {"name": self.name},
            "spec": _laid_over(spec, sections),
        }

    def _template(self) -> Object:
        environment = {"SCENE_QUEUE": self.name, "SCENE_REDIS_URL": REDIS_URL}
        return {
            "spec": {
                "containers": [
                    {
                        "name": "worker",
                        "env": [{"name": name, "value": value} for name, value in environment.items()],
                        "volumeMounts": [{"name": "scene", "mountPath": "/scene", "readOnly": True}],
                    }
                ],
                "volumes": [{"name": "scene", "configMap": {"name": f"{self.name}-app"}}],
            }
        }

    def post(self, task: str, args: Mapping[str, Any] | None = None, **options: Any) -> list[str]:
        """Enqueues into this queue; the ids."""
        return self.api.post(self.name, task, args, **options)

    # What there is to see.

    def live(self) -> Object:
        """The TaskQueue, or {} when it is gone."""
        return self.kubectl.get("taskqueue", self.name) or {}

    def condition(self, kind: str) -> Object:
        """One condition of the TaskQueue, or {}."""
        conditions = self.live().get("status", {}).get("conditions", [])
        return next((dict(one) for one in conditions if one["type"] == kind), {})

    def change(self, **spec: Any) -> None:
        """Merges into the spec."""
        self.kubectl.run("patch", "taskqueue", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def annotate(self, *annotations: str) -> None:
        """Such as annotate("ferryman.dev/paused=true"), and "ferryman.dev/paused-" to take it away."""
        self.kubectl.run("annotate", "taskqueue", self.name, "--overwrite", *annotations)

    def events(self) -> list[str]:
        """The events on the TaskQueue, as reason and message, in order."""
        return [f"{one['reason']} {one['message']}" for one in self.event_objects()]

    def event_objects(self) -> list[Object]:
        """The events on the TaskQueue as they are, in order."""
        found = self.kubectl.list("events")
        about = [one for one in found if one["involvedObject"].get("name") == self.name]
        mine = [one for one in about if one["involvedObject"]["kind"] == "TaskQueue"]
        return sorted(mine, key=lambda one: str(one["firstTimestamp"]))

    def deployment(self) -> Object:
        """The worker Deployment, or {}."""
        return self.kubectl.get("deployment", f"{self.name}-worker") or {}

    def replicas(self) -> int:
        """How many workers the Deployment asks for; -1 when there is none."""
        return int(self.deployment().get("spec", {}).get("replicas", -1))

    def pods(self) -> list[Object]:
        """Worker pods that are not being deleted, by name."""
        selector = f"app.kubernetes.io/component=worker,app.kubernetes.io/instance={self.name}"
        found = self.kubectl.list("pods", selector)
        return sorted(
            (pod for pod in found if "deletionTimestamp" not in pod["metadata"]),
            key=lambda pod: str(pod["metadata"]["name"]),
        )

    def figures(self) -> Object:
        """The queue as the API shows it."""
        return self.api.queue(self.name)

    def records(self, ids: Iterable[str]) -> list[Object]:
        """The records of these tasks; each must exist."""
        return self.api.tasks(self.name, ids)

    def journal(self) -> list[Entry]:
        """What the tasks wrote down, in order."""
        key = f"e2e:journal:{self.name}"
        redis = self.kubectl.within(SYSTEM)
        text = redis.run("exec", "ferryman-redis-0", "--", "redis-cli", "--raw", "LRANGE", key, "0", "-1")
        return [Entry(**json.loads(line)) for line in text.splitlines() if line.strip()]

    def begun(self) -> list[str]:
        """The ids of the tasks that began, in order; one that began twice is there twice."""
        return [entry.id for entry in self.journal() if entry.event == "begin"]

    def forget_journal(self) -> None:
        """Removes it from Redis."""
        redis = self.kubectl.within(SYSTEM)
        redis.run("exec", "ferryman-redis-0", "--", "redis-cli", "DEL", f"e2e:journal:{self.name}")

    # What to wait for.

    def wait_ready(self, timeout_s: float = 90) -> None:
        """Until the operator says that all is as specified."""
        self.wait_condition("Ready", "True", timeout_s)

    def wait_condition(self, kind: str, status: str, timeout_s: float) -> Object:
        """Until the condition has that status; it is returned."""
        return until(
            f"{kind}={status} of {self.name}",
            lambda: self.condition(kind),
            lambda found: found.get("status") == status,
            timeout_s,
        )

    def wait_workers(self, number: int, timeout_s: float = 120) -> list[Object]:
        """Until exactly so many worker pods exist, are Ready and registered in Redis; the pods."""
        until(f"{number} workers in Redis", self.figures, lambda f: f["workers"] == number, timeout_s)
        return until(
            f"{number} ready workers",
            self.pods,
            lambda pods: len(pods) == number and all(map(is_ready, pods)),
            timeout_s,
        )

    def wait_figures(self, what: str, holds: Callable[[Object], object], timeout_s: float = 60) -> Object:
        """Until the queue's figures hold."""
        return until(what, self.figures, holds, timeout_s)

    def wait_completed(self, number: int, timeout_s: float = 60) -> Object:
        """Until so many tasks are completed in all; asserts that none is unaccounted for."""
        figures = self.wait_figures(f"{number} tasks completed", lambda f: f["completed"] >= number, timeout_s)
        assert figures["unaccounted"] == 0, figures
        return figures


def is_ready(pod: Object) -> bool:
    """Whether Kubernetes calls the pod Ready."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def name_of(pod: Object) -> str:
    """The pod's name."""
    return str(pod["metadata"]["name"])


def restarts(pod: Object) -> int:
    """How often its containers were restarted."""
    return sum(int(one["restartCount"]) for one in pod.get("status", {}).get("containerStatuses", []))


def slug(test: str) -> str:
    """A test's name as the start of a Kubernetes name."""
    words = re.sub(r"[^a-z0-9]+", "-", test.removeprefix("test_").lower())
    return words[:30].strip("-")


def _laid_over(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Object:
    result = copy.deepcopy(dict(base))
    for field, value in patch.items():
        known = result.get(field)
        result[field] = _laid_over(known, value) if isinstance(known, dict) and isinstance(value, Mapping) else value
        if value is None:
            del result[field]
    return result
