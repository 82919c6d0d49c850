"""manifests/: the CRD describes and bounds every field, and the plain install is restricted and asks for little."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ferryman_operator.conditions import Findings, conditions
from ferryman_operator.schedule_spec import read_schedule
from ferryman_operator.spec import TaskQueueSpec

from ferryman.occurrences import Dst
from ferryman.schedule import Misfire, Overlap

ROOT = Path(__file__).parents[2]
CRD = yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text())
SCHEDULE_CRD = yaml.safe_load((ROOT / "manifests" / "crd-taskschedule.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
SCHEDULE_SCHEMA = SCHEDULE_CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
INSTALL = [
    document
    for path in sorted((ROOT / "manifests" / "install").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
WORKLOADS = [document for document in INSTALL if document["kind"] in ("Deployment", "StatefulSet")]


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(field, f"{path}.{name}")
        yield from fields(field.get("items", {}), f"{path}.{name}[]")


FIELDS = [one for part in ("spec", "status") for one in fields(SCHEMA["properties"][part], part)]
OF_SCHEDULES = [one for part in ("spec", "status") for one in fields(SCHEDULE_SCHEMA["properties"][part], part)]


@pytest.mark.parametrize(("path", "field"), FIELDS + OF_SCHEDULES, ids=[path for path, _ in FIELDS + OF_SCHEDULES])
def test_kubectl_explain_says_something_about_every_field(path: str, field: dict[str, Any]) -> None:
    assert field.get("description", "").endswith((".", ".)")), f"{path} has no description that is a sentence"


def rules(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, str]]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule
    for name, field in schema.get("properties", {}).items():
        yield from rules(field, f"{path}.{name}" if path else name)


@pytest.mark.parametrize("schema", [SCHEMA, SCHEDULE_SCHEMA], ids=["TaskQueue", "TaskSchedule"])
def test_every_refusal_names_its_field(schema: dict[str, Any]) -> None:
    for path, rule in rules(schema, ""):
        name = path + rule.get("fieldPath", "") if path else "metadata.name"
        assert rule["message"].startswith(name), f"{rule['rule']} does not begin with {name}"


def test_durations_are_bounded_where_zero_or_less_makes_no_sense() -> None:
    durations = {path: field for path, field in FIELDS if field.get("format") == "duration"}
    assert len(durations) == 8
    assert [path for path, field in durations.items() if "x-kubernetes-validations" not in field] == []


def test_names_and_subresources_are_the_stable_ones() -> None:
    assert CRD["metadata"]["name"] == "taskqueues.ferryman.dev"
    assert CRD["spec"]["names"]["shortNames"] == ["tq"]
    assert VERSION["subresources"]["status"] == {}
    assert VERSION["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }


def defaults(schema: dict[str, Any]) -> Any:
    """What the API server fills in."""
    if "properties" not in schema:
        return schema.get("default")
    return {name: defaults(field) for name, field in schema["properties"].items() if "default" in field}


def test_the_crd_and_the_operator_agree_on_every_default() -> None:
    required = {"redis": {"url": "redis://r"}, "worker": {"image": "i", "app": "a"}}
    metadata = {"namespace": "ns", "name": "q", "uid": "u"}
    bare = TaskQueueSpec.from_body({"metadata": metadata, "spec": required})
    filled = defaults(SCHEMA["properties"]["spec"]) | required
    filled["worker"] = defaults(SCHEMA["properties"]["spec"]["properties"]["worker"]) | required["worker"]
    assert TaskQueueSpec.from_body({"metadata": metadata, "spec": filled}) == bare


def test_the_crd_names_every_condition() -> None:
    said = SCHEMA["properties"]["status"]["properties"]["conditions"]["description"]
    for condition in conditions(Findings(generation=1)):
        assert condition["type"] in said


def test_the_crd_and_the_operator_agree_on_every_default_of_a_schedule() -> None:
    required = {"queueRef": {"name": "q"}, "task": "t", "cron": "@daily"}
    bare = {"metadata": {"name": "s"}, "spec": required}
    filled = {"metadata": {"name": "s"}, "spec": defaults(SCHEDULE_SCHEMA["properties"]["spec"]) | required}
    assert len(filled["spec"]) > len(required)
    assert read_schedule(filled) == read_schedule(bare)


def test_the_crd_knows_the_words_that_a_schedule_has() -> None:
    spec = SCHEDULE_SCHEMA["properties"]["spec"]["properties"]
    assert [spec[name]["enum"] for name in ("dst", "misfire", "overlap")] == [list(Dst), list(Misfire), list(Overlap)]


def test_the_quickstart_fits_the_schema() -> None:
    body = yaml.safe_load((ROOT / "examples" / "quickstart" / "taskqueue.yaml").read_text())
    spec = TaskQueueSpec.from_body(body | {"metadata": body["metadata"] | {"namespace": "default", "uid": "u"}})
    known = {path for path, _ in FIELDS}
    given = {f"spec.{section}.{name}" for section, fields_ in body["spec"].items() for name in fields_}
    assert given <= known
    assert (spec.queue, spec.scaling.min_replicas) == ("quickstart", 0)


@pytest.mark.parametrize("workload", WORKLOADS, ids=[one["metadata"]["name"] for one in WORKLOADS])
def test_the_plain_install_is_restricted(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    assert workload["metadata"]["namespace"] == "ferryman-system"
    assert pod["automountServiceAccountToken"] is (workload["metadata"]["name"] == "ferryman-operator")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]


def test_the_operator_asks_for_no_more_than_it_uses() -> None:
    """Each kind in cluster.py has its rule, and nothing else has one."""
    roles = {one["metadata"]["name"]: one for one in INSTALL if one["kind"] == "ClusterRole"}
    role = roles["ferryman-operator"]
    allowed = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
    source = (ROOT / "operator" / "src" / "ferryman_operator" / "cluster.py").read_text()
    words = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    plurals = {"taskqueues", "deployments", "cronjobs", "poddisruptionbudgets", "podmonitors", "pods", "taskschedules"}
    assert plurals <= words
    assert set(allowed) == plurals | {
        *("taskqueues/status", "taskqueues/scale", "taskschedules/status", "secrets", "events", "leases")
    }
    assert allowed["secrets"] == {"get"}
    assert allowed["pods"] == {"list", "watch"}
    assert allowed["taskqueues"] == {"list", "watch", "patch"}
    assert allowed["taskschedules"] == {"list", "watch"}
    assert not any("*" in verbs for verbs in allowed.values())
