"""What `kubectl apply -f manifests/` would do: the CRD, and the rights of the operator."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import yaml

from ferryman_control_plane.binaries import ROOT

Object = dict[str, Any]

#: The user that stands for the operator's service account.
OPERATOR = "ferryman-operator"

QUEUES = "/apis/ferryman.dev/v1alpha1/namespaces/{}/taskqueues"


def install(api: httpx.Client, namespaces: Sequence[str] = ()) -> None:
    """The CRD, namespaces, and the operator's ClusterRole as in manifests/install."""
    for file in ("crd.yaml", "crd-taskschedule.yaml"):
        crd = yaml.safe_load((ROOT / "manifests" / file).read_text(encoding="utf-8"))
        create(api, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    for namespace in namespaces:
        create(api, "/api/v1/namespaces", {"metadata": {"name": namespace}})
    grant(api, OPERATOR, operator_rules())
    deadline = time.monotonic() + 30
    while api.get("/apis/ferryman.dev/v1alpha1/taskqueues").status_code != 200:
        assert time.monotonic() < deadline, "the API server does not serve TaskQueues"
        time.sleep(0.1)


def operator_rules() -> list[Object]:
    """The rules of manifests/install/2-rbac.yaml."""
    plain = yaml.safe_load_all((ROOT / "manifests/install/2-rbac.yaml").read_text(encoding="utf-8"))
    roles = {one["metadata"]["name"]: one for one in plain if one["kind"] == "ClusterRole"}
    rules: list[Object] = roles[OPERATOR]["rules"]
    return rules


def grant(api: httpx.Client, user: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Make `rules` the rights of `user`, in the whole cluster."""
    group = "/apis/rbac.authorization.k8s.io/v1"
    role = {"metadata": {"name": user}, "rules": list(rules)}
    if api.get(f"{group}/clusterroles/{user}").status_code == 200:
        api.put(f"{group}/clusterroles/{user}", json=role).raise_for_status()
        return
    create(api, f"{group}/clusterroles", role)
    binding = {
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    create(api, f"{group}/clusterrolebindings", binding)


def taskqueue(name: str, redis_url: str, **sections: Any) -> Object:
    """A TaskQueue; `sections` (worker, scaling, …) replace those of a small one."""
    spec: Object = {
        "redis": {"url": redis_url},
        "worker": {"image": "localhost/ferryman-quickstart:dev", "app": "app", "concurrency": 10},
        "scaling": {"minReplicas": 0, "maxReplicas": 20, "cooldown": "5s"},
    }
    return {
        "apiVersion": "ferryman.dev/v1alpha1",
        "kind": "TaskQueue",
        "metadata": {"name": name},
        "spec": spec | sections,
    }


def create(api: httpx.Client, path: str, body: Mapping[str, Any]) -> Object:
    """POST, and complain with what the API server says."""
    reply = api.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert reply.status_code < 300, f"POST {path}: {reply.status_code} {reply.text}"
    made: Object = reply.json()
    return made
