"""Server-side apply: what others own in a child is left to them, and what is the operator's own is set right once."""

from __future__ import annotations

import time
from typing import Any

from ferryman_control_plane.namespace import Namespace
from ferryman_control_plane.operator_process import StartOperator, until
from ferryman_control_plane.plane import ControlPlane

WORKER = "mail-worker"


def pod(namespace: Namespace) -> dict[str, Any]:
    found = namespace.get("deployments", WORKER)
    assert found
    spec: dict[str, Any] = found["spec"]["template"]["spec"]
    return spec


def test_what_others_add_to_a_child_stays_and_nobody_fights_for_it(
    plane: ControlPlane, namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    namespace.queue("mail", redis_url)
    start_operator()
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    sidecar = {"name": "proxy", "image": "proxy:1"}
    more_env = {"name": "worker", "env": [{"name": "TRACE", "value": "1"}]}
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": WORKER, "labels": {"team": "a"}, "annotations": {"note": "theirs"}},
        "spec": {"template": {"spec": {"containers": [sidecar, more_env]}}},
    }
    namespace.patch("deployments", WORKER, theirs, "apply-patch", fieldManager="mesh")
    edited = {"metadata": {"annotations": {"by": "hand"}}, "spec": {"minReadySeconds": 3}}
    namespace.patch("deployments", WORKER, edited)

    def applies(since: int) -> int:
        places = [one["objectRef"] for one in plane.writes(since=since)]
        return sum((one["resource"], one.get("name")) == ("deployments", WORKER) for one in places)

    # The operator sees another generation and applies its own fields again, once or twice; then it is content.
    until("the operator has seen it", lambda: applies(0), lambda count: count > 1, 10)
    deadline = time.monotonic() + 30
    while True:
        mark = plane.mark()
        time.sleep(4)
        if not applies(mark):
            break
        assert time.monotonic() < deadline, "the operator applies the same object again and again"
    found = namespace.get("deployments", WORKER)
    assert found
    assert found["metadata"]["labels"]["team"] == "a"
    assert found["metadata"]["annotations"].items() >= {"note": "theirs", "by": "hand"}.items()
    assert found["spec"]["minReadySeconds"] == 3
    containers = {one["name"]: one for one in pod(namespace)["containers"]}
    assert containers["proxy"]["image"] == "proxy:1"
    assert {"name": "TRACE", "value": "1"} in containers["worker"]["env"]
    owned = {one["manager"]: one["fieldsV1"] for one in found["metadata"]["managedFields"]}
    assert owned.keys() >= {"ferryman-operator", "mesh"}
    assert "f:minReadySeconds" not in owned["ferryman-operator"]["f:spec"]


def test_what_is_the_operators_own_is_set_right(
    namespace: Namespace, start_operator: StartOperator, redis_url: str
) -> None:
    namespace.queue("mail", redis_url)
    start_operator()
    until("children", lambda: namespace.replicas("mail"), lambda number: number == 0, 60)
    namespace.patch("deployments", WORKER, {"spec": {"replicas": 7}})
    until("replicas", lambda: namespace.replicas("mail"), lambda number: number == 0, 10)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "other:1"}]}}}}
    namespace.patch("deployments", WORKER, image, "strategic-merge-patch")
    until("the image", lambda: pod(namespace)["containers"][0]["image"], lambda one: one != "other:1", 10)
    # Neither counts a generation.
    namespace.patch("deployments", WORKER, {"metadata": {"ownerReferences": None}})
    owners = lambda: (namespace.get("deployments", WORKER) or {})["metadata"].get("ownerReferences")  # noqa: E731
    until("the owner", owners, bool, 10)
    namespace.patch("deployments", WORKER, {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    labels = lambda: (namespace.get("deployments", WORKER) or {})["metadata"]["labels"]  # noqa: E731
    until("the label", labels, lambda found: found.get("app.kubernetes.io/managed-by") == "ferryman-operator", 10)
