"""What Kubernetes itself shows of a TaskQueue: `kubectl get tq` reads well, `kubectl explain` explains every field."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

_COLUMNS = ["NAME", "READY", "WAITING", "ACTIVE", "DEAD", "WORKERS", "WANTED", "OLDEST", "REASON", "AGE"]


def test_kubectl_get_tq_reads_well(queue: SceneQueue) -> None:
    queue.create(worker={"concurrency": 1}, scaling={"minReplicas": 1, "maxReplicas": 1})
    queue.wait_workers(1)
    queue.post("work", {"seconds": 40}, count=3)

    def row() -> dict[str, str]:
        header, line = queue.kubectl.run("get", "tq").splitlines()
        starts = [header.index(column) for column in header.split()]
        ends = [*starts[1:], None]
        return {header[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)}

    seen = until("the figures are in the columns", row, lambda row: row["WAITING"] == "2", timeout_s=30)
    print(queue.kubectl.run("get", "tq"))
    assert list(seen) == _COLUMNS
    assert (seen["NAME"], seen["READY"]) == (queue.name, "True")
    assert (seen["ACTIVE"], seen["DEAD"], seen["WORKERS"], seen["WANTED"]) == ("1", "0", "1", "1")
    assert seen["REASON"]
    until("the age of the oldest task", row, lambda row: row["OLDEST"].endswith("s"), timeout_s=30)
    assert "MESSAGE" in queue.kubectl.run("get", "tq", "-o", "wide").splitlines()[0]


def test_kubectl_explain_has_a_description_for_every_field(installed: Kubectl) -> None:
    schema = _served_schema(installed)
    bare = [path for path, field in _fields("taskqueue", schema) if not str(field.get("description", "")).strip()]
    assert bare == []
    text = installed.run("explain", "taskqueue.spec.scaling.targetLatency")
    assert "DESCRIPTION" in text
    assert "<empty>" not in text
    assert "<empty>" not in installed.run("explain", "taskqueue.spec")


def _served_schema(kubectl: Kubectl) -> dict[str, Any]:
    """What the API server serves to `kubectl explain`."""
    document = json.loads(kubectl.run("get", "--raw", "/openapi/v3/apis/ferryman.dev/v1alpha1"))
    schemas: dict[str, dict[str, Any]] = document["components"]["schemas"]
    return next(
        schema
        for schema in schemas.values()
        if any(kind["kind"] == "TaskQueue" for kind in schema.get("x-kubernetes-group-version-kind", []))
    )


def _fields(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        if path == "taskqueue" and name == "metadata":
            continue  # Kubernetes' own
        here = f"{path}.{name}"
        yield here, field
        yield from _fields(here, field)
        yield from _fields(here + "[]", field.get("items", {}))
