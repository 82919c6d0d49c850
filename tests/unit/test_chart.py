"""The Helm chart: what it renders for each of its value sets, and what it refuses.

Needs helm (`hack/cluster/build --tools` puts it into .cluster/bin); without it these tests are skipped, and fail in CI.
"""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ferryman_operator.monitors import MonitorSettings
from ferryman_operator.settings import OperatorSettings

from ferryman.api.settings import ApiSettings
from ferryman.replication import ReplicaWait

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "ferryman"
VALUE_SETS = sorted(path.name for path in (CHART / "ci").glob("*.yaml"))
TRIAL = ("--set", "redis.enabled=true")

Object = dict[str, Any]


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    helm = shutil.which("helm", path=f"{ROOT / '.cluster' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if helm is None:
        assert "CI" not in os.environ, "no helm: run hack/cluster/build --tools first"
        pytest.skip("no helm: hack/cluster/build --tools builds it")
    return subprocess.run([helm, *arguments], capture_output=True, text=True, timeout=60)


@functools.cache
def template(*arguments: str, release: str = "ferryman") -> list[Object]:
    """The objects of `helm template` in namespace ferryman-system, where Prometheus' operator is installed."""
    where = ("--namespace", "ferryman-system", "--kube-version", "1.37.0")
    known = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in ("PodMonitor", "PrometheusRule")]
    done = run_helm("template", release, str(CHART), *where, *known, *arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def value_set(name: str) -> list[Object]:
    return template("--values", str(CHART / "ci" / name))


def find(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def workloads(objects: list[Object]) -> list[Object]:
    return [o for o in objects if o["kind"] in {"Deployment", "StatefulSet"}]


def environment(workload: Object) -> dict[str, str]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


# The CRD


KINDS = {"taskqueues": "crd.yaml", "taskschedules": "crd-taskschedule.yaml"}


@pytest.mark.parametrize("file", KINDS.values())
def test_the_crd_is_the_one_in_manifests(file: str) -> None:
    source, copy = ROOT / "manifests" / file, CHART / "files" / file
    assert copy.read_bytes() == source.read_bytes(), f"run: cp {source.relative_to(ROOT)} {copy.relative_to(ROOT)}"


@pytest.mark.parametrize(("plural", "file"), KINDS.items())
def test_the_crd_is_rendered_unchanged_but_kept_at_uninstall(plural: str, file: str) -> None:
    crd = find(value_set("local-values.yaml"), "CustomResourceDefinition", f"{plural}.ferryman.dev")
    crd = json.loads(json.dumps(crd))
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert crd == yaml.safe_load((ROOT / "manifests" / file).read_text())


# Values


def schemas(schema: Object, path: str = "values") -> list[tuple[str, Object]]:
    below = [pair for key, value in schema.get("properties", {}).items() for pair in schemas(value, f"{path}.{key}")]
    return [(path, schema), *below]


def test_the_schema_describes_every_value_and_refuses_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(defaults, schema)
    for path, part in schemas(schema)[1:]:
        assert "$ref" in part or part.get("description"), f"{path} has no description"
        if "properties" in part:
            assert part["additionalProperties"] is False, f"{path} takes anything"
    described = {path for path, _ in schemas(schema)} - {"values.global"}
    assert described == {path for path, _ in schemas(_as_schema(defaults)) if path in described}, (
        "a value has no default"
    )


def _as_schema(values: object) -> Object:
    """Values in the shape of a schema, so that both can be walked alike."""
    return {"properties": {k: _as_schema(v) for k, v in values.items()}} if isinstance(values, dict) else {}


@pytest.mark.parametrize("name", VALUE_SETS)
def test_helm_lint_has_nothing_to_say(name: str) -> None:
    done = run_helm("lint", "--strict", "--kube-version", "1.37.0", "--values", str(CHART / "ci" / name), str(CHART))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the API needs a Redis: set api.redis.secretRef.name"),
        (["api.redis.url=redis://a:6379", "api.redis.secretRef.name=b"], "set one of url and secretRef.name, not both"),
        (["redis.enabled=true", "clusterWide=true", "watchNamespaces={shop}"], "set clusterWide or watchNamespaces"),
        (["redis.enabled=true", "api.replica=3"], "additional properties 'replica' not allowed"),
        (["api.redis.url=redis://:secret@a:6379"], "'redis://:secret@a:6379' does not match pattern"),
        (["redis.enabled=true", "watchNamespaces={No_Such}"], "'No_Such' does not match pattern"),
    ],
)
def test_values_that_cannot_work_are_refused_with_a_sentence(arguments: list[str], sentence: str) -> None:
    done = run_helm("template", "x", str(CHART), "--kube-version", "1.37.0", *(f"--set={a}" for a in arguments))
    assert done.returncode != 0
    assert sentence in done.stderr


# Pods


@pytest.mark.parametrize("name", VALUE_SETS)
def test_every_pod_is_restricted_and_small(name: str) -> None:
    for workload in workloads(value_set(name)):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is (workload["metadata"]["name"] == "ferryman-operator")
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            claimed = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", ())}
            assert mounted.keys() == {volume["name"] for volume in pod["volumes"]} | claimed
            assert mounted["tmp"] == "/tmp"


@pytest.mark.parametrize("name", VALUE_SETS)
def test_selectors_find_the_pods_and_nothing_in_a_pod_changes_with_the_version(name: str) -> None:
    for workload in workloads(value_set(name)):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_a_lost_node_costs_operator_and_api_30_seconds() -> None:
    objects = value_set("namespaced-values.yaml")
    for name in ("ferryman-operator", "ferryman-api"):
        tolerations = find(objects, "Deployment", name)["spec"]["template"]["spec"]["tolerations"]
        assert {t["key"]: t.get("tolerationSeconds") for t in tolerations if t["key"] != "dedicated"} == {
            "node.kubernetes.io/not-ready": 30,
            "node.kubernetes.io/unreachable": 30,
        }


def test_there_is_never_a_second_operator() -> None:
    spec = find(template(*TRIAL), "Deployment", "ferryman-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_images_come_from_registry_and_tag() -> None:
    local = {
        w["metadata"]["name"]: w["spec"]["template"]["spec"]["containers"][0]["image"] for w in workloads(_local())
    }
    assert local == {
        "ferryman-operator": "localhost/ferryman-operator:dev",
        "ferryman-api": "localhost/ferryman-api:dev",
        "ferryman-redis": "localhost/ferryman-redis:dev",
    }
    operator = find(template(*TRIAL), "Deployment", "ferryman-operator")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert environment(operator)["FERRYMAN_SCHEDULER_IMAGE"] == f"ghcr.io/ferryman/ferryman-scheduler:{version}"


def _local() -> list[Object]:
    return value_set("local-values.yaml")


# Rights


def roles(objects: list[Object]) -> set[tuple[str, str, str]]:
    """(kind, namespace, name) of every role that is bound to the operator."""
    found = [o for o in objects if o["kind"] in {"Role", "ClusterRole"} and "operator" in o["metadata"]["name"]]
    return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in found}


def test_by_default_the_operator_has_rights_in_its_own_namespace_only() -> None:
    objects = template(*TRIAL)
    assert roles(objects) == {("Role", "ferryman-system", "ferryman-operator")}
    assert [o for o in objects if o["kind"] == "ClusterRoleBinding"] == []
    watched = environment(find(objects, "Deployment", "ferryman-operator"))["FERRYMAN_WATCH_NAMESPACES"]
    assert watched == "ferryman-system"


def test_watched_namespaces_get_a_role_each_and_clusterwide_one_cluster_role() -> None:
    watched = {("Role", namespace, "ferryman-operator") for namespace in ("shop", "billing")}
    assert roles(value_set("namespaced-values.yaml")) == watched
    assert roles(_local()) == {("ClusterRole", "", "ferryman-operator")}
    assert roles(value_set("operator-only-values.yaml")) == set()


def test_rights_are_those_of_the_plain_manifests() -> None:
    plain = yaml.safe_load_all((ROOT / "manifests" / "install" / "2-rbac.yaml").read_text())
    rules = {o["metadata"]["name"]: o["rules"] for o in plain if o["kind"] == "ClusterRole"}
    assert {o["metadata"]["name"]: o["rules"] for o in _local() if o["kind"] == "ClusterRole"} == rules
    (secrets,) = [rule for rule in rules["ferryman-operator"] if "secrets" in rule["resources"]]
    assert secrets["verbs"] == ["get"]
    assert "*" not in json.dumps(rules)


def test_who_may_edit_pods_may_edit_task_queues() -> None:
    objects = _local()
    edit = find(objects, "ClusterRole", "ferryman-taskqueues-edit")
    view = find(objects, "ClusterRole", "ferryman-taskqueues-view")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


# What others rely on


def test_the_names_of_the_api_are_stable() -> None:
    objects = _local()
    service = find(objects, "Service", "ferryman-api")
    container = find(objects, "Deployment", "ferryman-api")["spec"]["template"]["spec"]["containers"][0]
    assert [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [(80, "http")]
    assert container["ports"] == [{"name": "http", "containerPort": 8000}]
    assert list(find(objects, "Secret", "ferryman-api-token")["data"]) == ["token"]


def test_the_api_finds_redis_by_url_by_secret_or_beside_it() -> None:
    beside = environment(find(_local(), "Deployment", "ferryman-api"))
    by_url = environment(find(template("--set=api.redis.url=rediss://r:1/2"), "Deployment", "ferryman-api"))
    by_secret = find(value_set("namespaced-values.yaml"), "Deployment", "ferryman-api")
    volumes = {v["name"]: v.get("secret") for v in by_secret["spec"]["template"]["spec"]["volumes"]}
    assert beside["FERRYMAN_REDIS_URL"] == "redis://ferryman-redis:6379/0"
    assert by_url["FERRYMAN_REDIS_URL"] == "rediss://r:1/2"
    assert environment(by_secret)["FERRYMAN_REDIS_URL_FILE"] == "/etc/ferryman/redis/url"
    assert volumes["redis"] == {"secretName": "shared-redis", "items": [{"key": "address", "path": "url"}]}
    assert volumes["token"] == {"secretName": "api-credentials", "items": [{"key": "bearer", "path": "token"}]}


def test_the_api_has_narrow_tokens_and_limits_only_when_told_to() -> None:
    plain = environment(find(_local(), "Deployment", "ferryman-api"))
    assert not [name for name in plain if "RATE" in name or name.endswith(("ENQUEUE_TOKEN_FILE", "READ_TOKEN_FILE"))]
    keys = "api.token.enqueueKey=producers,api.token.readKey=viewers"
    asked = template(f"--set=redis.enabled=true,{keys},api.rateLimit.perSecond=3,api.bodyLimitBytes=4194304")
    deployment = find(asked, "Deployment", "ferryman-api")
    settings = ApiSettings.from_env(environment(deployment))
    assert (settings.rate_per_s, settings.rate_burst, settings.body_limit_bytes) == (3, 6, 4 << 20)
    assert len({settings.token_file, settings.enqueue_token_file, settings.read_token_file, None}) == 4
    volumes = {v["name"]: v.get("secret") for v in deployment["spec"]["template"]["spec"]["volumes"]}
    mounted = {f"/etc/ferryman/token/{item['path']}": item["key"] for item in volumes["token"]["items"]}
    assert mounted == {
        str(settings.token_file): "token",
        str(settings.enqueue_token_file): "producers",
        str(settings.read_token_file): "viewers",
    }
    made = find(asked, "Secret", "ferryman-api-token")["data"]
    assert made.keys() == {"token", "producers", "viewers"}
    assert len(set(made.values())) == 3


def test_the_api_waits_for_replicas_only_when_told_to() -> None:
    asked = template("--set=api.redis.url=redis://r:1/2,api.waitReplicas=2,api.waitReplicasTimeout=500ms")
    variables = environment(find(asked, "Deployment", "ferryman-api"))
    wait = ReplicaWait.from_env(variables)
    assert (wait.replicas, wait.timeout_ms) == (2, 500)
    assert not [name for name in environment(find(_local(), "Deployment", "ferryman-api")) if "WAIT" in name]


def test_schedulers_pull_with_the_secrets_of_the_release() -> None:
    operator = find(value_set("namespaced-values.yaml"), "Deployment", "ferryman-operator")
    assert environment(operator)["FERRYMAN_IMAGE_PULL_SECRETS"] == "registry"
    assert environment(find(_local(), "Deployment", "ferryman-operator"))["FERRYMAN_IMAGE_PULL_SECRETS"] == ""


def test_an_uninstall_first_lets_go_of_every_taskqueue() -> None:
    objects = value_set("namespaced-values.yaml")
    job = find(objects, "Job", "ferryman-farewell")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    pod, operator = (o["spec"]["template"]["spec"] for o in (job, find(objects, "Deployment", "ferryman-operator")))
    for field in ("serviceAccountName", "securityContext", "imagePullSecrets"):
        assert pod[field] == operator[field]
    [container] = pod["containers"]
    assert container["securityContext"] == operator["containers"][0]["securityContext"]
    words = ["python", "-m", "ferryman_operator.farewell", "ferryman-operator", "ferryman-system", "shop,billing"]
    assert container["command"] + container["args"] == words
    [rule] = find(objects, "Role", "ferryman-farewell")["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["ferryman-operator"], ["patch"])
    without = template("--values", str(CHART / "ci" / "namespaced-values.yaml"), "--set", "operator.farewell=false")
    assert [o for o in without if "farewell" in o["metadata"]["name"]] == []


def test_grafanas_sidecar_finds_the_dashboards() -> None:
    config = find(_local(), "ConfigMap", "ferryman-dashboards")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"] == {"grafana_folder": "Ferryman"}
    shipped = {name: json.loads(text) for name, text in config["data"].items()}
    assert shipped == {path.name: json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")}


def test_the_dashboards_lead_to_the_api_the_runbooks_and_the_release_that_the_values_name() -> None:
    words = "--set=dashboards.apiUrl=/ferryman,alerts.runbookBase=https://wiki.example.com/runbooks/,redis.enabled=true"
    shipped = find(template(words), "ConfigMap", "ferryman-dashboards")["data"]
    for name, text in shipped.items():
        values = {v["name"]: v.get("query") for v in json.loads(text)["templating"]["list"]}
        assert values["runbooks"] == "https://wiki.example.com/runbooks"
        assert values.get("api_url", "/ferryman") == "/ferryman"
        assert "127.0.0.1:8000" not in text, name
    elsewhere = template("--namespace=tools", *TRIAL, release="boats")
    [config] = [o for o in elsewhere if o["metadata"]["name"].endswith("-dashboards")]
    api = config["metadata"]["name"].replace("-dashboards", "-api")
    assert find(elsewhere, "Deployment", api)
    assert f"kubectl -n tools exec deploy/{api} -- ferryman stats" in config["data"]["ferryman-queue.json"]


def test_pod_monitors_find_their_pods_where_the_cluster_knows_the_kind() -> None:
    objects = _local()
    for name in ("ferryman-operator", "ferryman-api"):
        wanted = find(objects, "PodMonitor", name)["spec"]["selector"]["matchLabels"]
        assert wanted == find(objects, "Deployment", name)["spec"]["selector"]["matchLabels"]
    done = run_helm("template", "x", str(CHART), "--kube-version", "1.37.0", *TRIAL)
    assert "PodMonitor" not in done.stdout


def test_the_operators_pod_monitors_are_made_as_the_charts_are() -> None:
    asked = template(*TRIAL, "--set=metrics.podMonitor.labels.release=kps,metrics.podMonitor.interval=30s")
    settings = OperatorSettings.from_env(environment(find(asked, "Deployment", "ferryman-operator")))
    own = find(asked, "PodMonitor", "ferryman-operator")
    assert settings.pod_monitors == MonitorSettings(True, "30s", {"release": "kps"})
    assert own["metadata"]["labels"]["release"] == "kps"
    assert own["spec"]["podMetricsEndpoints"][0]["interval"] == "30s"


def test_every_file_of_alerts_becomes_a_rule_object_as_it_is() -> None:
    found = {o["metadata"]["name"]: o["spec"] for o in template(*TRIAL) if o["kind"] == "PrometheusRule"}
    files = {f"ferryman-{p.stem}": yaml.safe_load(p.read_text()) for p in (CHART / "alerts").glob("*.yaml")}
    assert len(files) > 5
    assert found == files


def test_alerts_lead_to_the_runbooks_and_the_grafana_of_the_values() -> None:
    told = ("--set=alerts.runbookBase=https://wiki/ferryman/", "--set=alerts.grafanaUrl=https://grafana/sub")
    objects = template(*TRIAL, *told, "--set=alerts.labels.release=stack")
    rules = [o for o in objects if o["kind"] == "PrometheusRule"]
    assert {o["metadata"]["labels"]["release"] for o in rules} == {"stack"}
    alerts = [r for o in rules for group in o["spec"]["groups"] for r in group["rules"] if "alert" in r]
    for annotations in (alert["annotations"] for alert in alerts):
        assert annotations["runbook_url"].startswith("https://wiki/ferryman/ferryman-")
        assert annotations["dashboard_url"].startswith("https://grafana/sub/d/ferryman-")


def test_alerts_are_made_only_when_wanted_and_where_the_cluster_knows_the_kind() -> None:
    assert "PrometheusRule" not in {o["kind"] for o in template(*TRIAL, "--set=alerts.enabled=false")}
    done = run_helm("template", "x", str(CHART), "--kube-version", "1.37.0", *TRIAL)
    assert "PrometheusRule" not in done.stdout


def test_two_releases_share_no_cluster_wide_name() -> None:
    wide = {"ClusterRole", "ClusterRoleBinding"}
    values = ("--values", str(CHART / "ci" / "local-values.yaml"))
    names = [{o["metadata"]["name"] for o in template(*values, release=r) if o["kind"] in wide} for r in ("a", "b")]
    assert not names[0] & names[1]
