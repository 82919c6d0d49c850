"""Everything that people set in a pod template, laid over the generated one."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_operator.cluster import ClusterError, Invalid, error_of
from ferryman_operator.overlay import merged
from ferryman_operator.spec import TaskQueueSpec
from ferryman_operator.worker_deployment import worker_deployment


def pod(template: dict[str, Any], **worker: Any) -> dict[str, Any]:
    """The pod spec of a worker with this template's `spec`."""
    spec = {
        "redis": {"secretRef": {"name": "redis"}},
        "worker": {"image": "acme:1", "app": "acme.tasks", "template": {"spec": template}, **worker},
    }
    metadata = {"namespace": "ns", "name": "q", "uid": "u"}
    body = worker_deployment(TaskQueueSpec.from_body({"metadata": metadata, "spec": spec}), 1)
    found: dict[str, Any] = body["spec"]["template"]["spec"]
    return found


def container(changes: dict[str, Any], **worker: Any) -> dict[str, Any]:
    """The worker's container with these changes in the template."""
    [found] = pod({"containers": [{"name": "worker", **changes}]}, **worker)["containers"]
    return dict(found)


PLAIN = container({})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("serviceAccountName", "mailer"),
        ("priorityClassName", "high"),
        ("imagePullSecrets", [{"name": "registry"}]),
        ("nodeSelector", {"disk": "ssd"}),
        ("tolerations", [{"key": "gpu", "operator": "Exists"}]),
        ("affinity", {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}),
        ("runtimeClassName", "gvisor"),
        ("automountServiceAccountToken", True),
        (
            "topologySpreadConstraints",
            [{"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
        ),
        ("initContainers", [{"name": "migrate", "image": "acme:1"}]),
        ("dnsConfig", {"options": [{"name": "ndots", "value": "1"}]}),
    ],
)
def test_a_field_of_the_pod_is_taken_over(field: str, value: Any) -> None:
    changed, plain = pod({field: value}), pod({})
    assert changed[field] == value
    assert {**changed, field: None} == {**plain, field: None}


def test_security_contexts_merge_field_by_field() -> None:
    context = pod({"securityContext": {"fsGroup": 1000}})["securityContext"]
    assert context == {"fsGroup": 1000, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_probe_is_changed_field_by_field() -> None:
    probe = container({"livenessProbe": {"periodSeconds": 60}})["livenessProbe"]
    assert probe == {**PLAIN["livenessProbe"], "periodSeconds": 60}


def test_another_kind_of_probe_takes_the_place_of_the_generated_one() -> None:
    probe = container({"livenessProbe": {"exec": {"command": ["true"]}}})["livenessProbe"]
    assert probe == {key: value for key, value in PLAIN["livenessProbe"].items() if key != "httpGet"} | {
        "exec": {"command": ["true"]}
    }


def test_null_takes_a_probe_away() -> None:
    assert "startupProbe" not in container({"startupProbe": None})


def variables(found: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in found["env"]}


def test_env_of_the_spec_adds_and_replaces() -> None:
    secret = {"valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}
    env = [{"name": "DATABASE_URL", **secret}, {"name": "FERRYMAN_LOG_FORMAT", "value": "text"}]
    found = variables(container({}, env=env, envFrom=[{"configMapRef": {"name": "settings"}}]))
    assert found == variables(PLAIN) | {"DATABASE_URL": secret, "FERRYMAN_LOG_FORMAT": {"value": "text"}}
    assert container({}, envFrom=[{"configMapRef": {"name": "settings"}}])["envFrom"] == [
        {"configMapRef": {"name": "settings"}}
    ]


def test_a_variable_from_elsewhere_takes_the_place_of_a_value() -> None:
    source = {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
    assert variables(container({"env": [{"name": "FERRYMAN_PORT", **source}]}))["FERRYMAN_PORT"] == source


def test_the_template_has_the_last_word() -> None:
    found = container({"env": [{"name": "A", "value": "template"}]}, env=[{"name": "A", "value": "spec"}])
    assert variables(found)["A"] == {"value": "template"}


def test_a_volume_of_the_same_name_is_another_volume_when_its_source_is() -> None:
    claim = {"name": "tmp", "persistentVolumeClaim": {"claimName": "scratch"}}
    memory = {"name": "tmp", "emptyDir": {"medium": "Memory"}}
    added = {"name": "models", "configMap": {"name": "models"}}
    redis = pod({})["volumes"][1]
    assert pod({"volumes": [claim]})["volumes"] == [claim, redis]
    assert pod({"volumes": [memory, added]})["volumes"] == [memory, redis, added]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param([{"name": "b", "$patch": "delete"}], [{"name": "a"}], id="one item goes"),
        pytest.param([{"$patch": "replace"}, {"name": "c"}], [{"name": "c"}], id="the whole list is another one"),
        pytest.param([{"name": "c"}], [{"name": "a"}, {"name": "b"}, {"name": "c"}], id="otherwise they merge"),
    ],
)
def test_directives_of_a_strategic_merge_work_in_named_lists(patch: list[Any], expected: list[Any]) -> None:
    assert merged({"containers": [{"name": "a"}, {"name": "b"}]}, {"containers": patch}) == {"containers": expected}


def test_an_object_can_be_replaced_as_a_whole() -> None:
    patch = {"securityContext": {"$patch": "replace", "fsGroup": 1}}
    assert merged({"securityContext": {"runAsNonRoot": True}}, patch) == {"securityContext": {"fsGroup": 1}}


def test_one_port_in_two_protocols_is_two_ports() -> None:
    tcp, udp = {"containerPort": 53}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}
    assert merged({"ports": [tcp]}, {"ports": [udp]})["ports"] == [tcp, udp]
    named = {"containerPort": 53, "protocol": "TCP", "name": "dns"}
    assert merged({"ports": [tcp]}, {"ports": [named]})["ports"] == [named]


def test_an_unknown_field_is_the_fault_of_the_template_although_the_api_server_says_500() -> None:
    untyped = "failed to create typed patch object (ns/q-worker; apps/v1, Kind=Deployment): .spec.x: field not declared"
    assert type(error_of(500, untyped)) is Invalid
    assert type(error_of(500, "etcdserver: request timed out")) is ClusterError
    assert type(error_of(422, "spec.x: Invalid value")) is Invalid


@pytest.mark.parametrize("broken", ["nonsense", 5, [None], [{"image": "no name"}]], ids=str)
def test_nonsense_reaches_the_api_server_which_says_what_is_wrong(broken: Any) -> None:
    assert pod({"containers": broken})["containers"] is not None
