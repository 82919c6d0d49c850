"""The pods' template: all that people set reaches the pods, and what the API server refuses is said in SpecValid."""

import json
from typing import Any

import pytest
from ferryman_e2e.scene_queue import SceneQueue, name_of
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_PRIORITY = "ferryman-e2e"

# Templates that the API server refuses, with what its message must name.
_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a field that does not exist": ({"spec": {"nodeSelektor": {"a": "b"}}}, "nodeSelektor"),
    "a value of another type": ({"spec": {"terminationGracePeriodSeconds": "long"}}, "terminationGracePeriodSeconds"),
    "a volume that is mounted but not there": (
        {"spec": {"containers": [{"name": "worker", "volumeMounts": [{"name": "gone", "mountPath": "/gone"}]}]}},
        "gone",
    ),
    "a container without an image": ({"spec": {"containers": [{"name": "sidecar"}]}}, "image"),
    "a label that is none": ({"metadata": {"labels": {"team": "not valid!"}}}, "not valid!"),
}


@pytest.mark.parametrize("wrong", _BAD)
def test_what_the_api_server_refuses_is_said_in_spec_valid_and_heals(queue: SceneQueue, wrong: str) -> None:
    template, says = _BAD[wrong]
    queue.create(scaling={"minReplicas": 1, "maxReplicas": 1})
    [pod] = queue.wait_workers(1)
    queue.change(worker={"template": template})
    condition = queue.wait_condition("SpecValid", "False", timeout_s=15)
    print(condition["message"])
    assert condition["reason"] == "InvalidSpec"
    assert says in condition["message"]
    assert [name_of(one) for one in queue.pods()] == [name_of(pod)], "what runs stays"
    queue.kubectl.run("replace", "-f", "-", stdin=_json(queue))
    queue.wait_condition("SpecValid", "True", timeout_s=40)
    queue.wait_condition("Ready", "True", timeout_s=40)


def _json(queue: SceneQueue) -> str:
    sections = {"scaling": {"minReplicas": 1, "maxReplicas": 1}}
    return json.dumps(queue.manifest(**sections))


def test_everything_that_people_set_reaches_the_pods(queue: SceneQueue) -> None:
    kubectl = queue.kubectl
    kubectl.apply(
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": _PRIORITY}, "value": 7},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mailer"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"MOOD": "good"}},
    )
    spread = {
        "topologyKey": "kubernetes.io/hostname",
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"ferryman.dev/queue": queue.name}},
    }
    worker = {
        "livenessProbe": {"periodSeconds": 7},
        "readinessProbe": {"failureThreshold": 2},
        "volumeMounts": [
            {"name": "scene", "mountPath": "/scene", "readOnly": True},
            {"name": "settings", "mountPath": "/settings"},
        ],
        "env": queue.manifest()["spec"]["worker"]["template"]["spec"]["containers"][0]["env"],
    }
    sidecar = {
        "name": "sidecar",
        "image": "localhost/ferryman-redis:dev",
        "command": ["sleep", "infinity"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "runAsUser": 1000,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    scene = queue.manifest()["spec"]["worker"]["template"]["spec"]["volumes"]
    template = {
        "metadata": {"labels": {"team": "mail"}, "annotations": {"owner": "me"}},
        "spec": {
            "serviceAccountName": "mailer",
            "priorityClassName": _PRIORITY,
            "imagePullSecrets": [{"name": "acme-registry"}],
            "topologySpreadConstraints": [spread],
            "containers": [{"name": "worker", **worker}, sidecar],
            "volumes": [*scene, {"name": "settings", "configMap": {"name": "settings"}}],
        },
    }
    env = [{"name": "COLOUR", "value": "blue"}]
    queue.create(
        worker={"template": template, "env": env, "envFrom": [{"configMapRef": {"name": "settings"}}]},
        scaling={"minReplicas": 1, "maxReplicas": 1},
    )
    [pod] = queue.wait_workers(1)
    spec = pod["spec"]
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("mailer", [{"name": "acme-registry"}])
    assert (spec["priorityClassName"], spec["priority"]) == (_PRIORITY, 7)
    assert spec["topologySpreadConstraints"] == [spread]
    assert pod["metadata"]["labels"]["team"] == "mail"
    first, second = spec["containers"]
    assert (first["livenessProbe"]["periodSeconds"], first["livenessProbe"]["httpGet"]["path"]) == (7, "/livez")
    assert (first["readinessProbe"]["failureThreshold"], second["name"]) == (2, "sidecar")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec.get("automountServiceAccountToken") is False
    shown = kubectl.run("exec", name_of(pod), "-c", "worker", "--", "env").splitlines()
    assert {"COLOUR=blue", "MOOD=good"} <= set(shown)
    assert kubectl.run("exec", name_of(pod), "-c", "worker", "--", "cat", "/settings/MOOD") == "good"
    queue.post("echo", {"value": "hello"})
    queue.wait_completed(1)
    generation = queue.deployment()["metadata"]["generation"]
    until("all is well", lambda: queue.condition("Ready"), lambda one: one.get("status") == "True", timeout_s=20)
    assert queue.deployment()["metadata"]["generation"] == generation, "it is applied once"


_MORE = """
from scene_app import scene


@scene.task()
async def more(value: str) -> str:
    return value
"""


def test_handlers_may_lie_in_several_apps(queue: SceneQueue) -> None:
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}, "data": {"more.py": _MORE}}
    queue.kubectl.apply(more)
    template = queue.manifest()["spec"]["worker"]["template"]
    template["spec"]["volumes"].append({"name": "more", "configMap": {"name": "more"}})
    template["spec"]["containers"][0]["volumeMounts"].append({"name": "more", "mountPath": "/more", "readOnly": True})
    queue.create(worker={"app": "/scene/scene_app.py,/more/more.py", "template": template})
    queue.post("more", {"value": "from the second"})
    queue.post("work", {"seconds": 0.1})
    queue.wait_completed(2)
    assert {"more", "work"} <= {task["name"] for task in queue.figures()["tasks"]}
