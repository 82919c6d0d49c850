"""What `make demo` and `make kind-up` put beside Ferryman: a Prometheus with few rights, a Grafana that finds it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "hack" / "monitoring"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((MONITORING / "prometheus.yaml").read_text(encoding="utf-8")))
GRAFANA: dict[str, Any] = yaml.safe_load((MONITORING / "grafana-values.yaml").read_text(encoding="utf-8"))
CHART = ROOT / "charts" / "ferryman"


def _one(kind: str) -> dict[str, Any]:
    [found] = [one for one in OBJECTS if one["kind"] == kind]
    return found


def test_prometheus_may_list_and_watch_pods_and_nothing_else() -> None:
    assert _one("ClusterRole")["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    assert [one["kind"] for one in OBJECTS if one["kind"].endswith("Binding")] == ["ClusterRoleBinding"]


def test_prometheus_is_restricted() -> None:
    assert _one("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = _one("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    [container] = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"]


def test_grafana_asks_this_prometheus_as_often_as_it_scrapes() -> None:
    service, settings = _one("Service"), yaml.safe_load(_one("ConfigMap")["data"]["prometheus.yml"])
    [source] = GRAFANA["datasources"]["datasources.yaml"]["datasources"]
    [port] = service["spec"]["ports"]
    assert source["url"] == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}"
    assert source["jsonData"]["timeInterval"] == settings["global"]["scrape_interval"]


def test_grafana_finds_the_dashboards_of_the_chart_by_its_defaults() -> None:
    ours = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["dashboards"]
    theirs = GRAFANA["sidecar"]["dashboards"]
    assert theirs["enabled"] is True
    assert (theirs["searchNamespace"], theirs["resource"]) == ("ALL", "configmap")
    assert {name: theirs[name] for name in ("label", "labelValue", "folderAnnotation")} == {
        name: ours[name] for name in ("label", "labelValue", "folderAnnotation")
    }


def test_the_control_panel_of_that_grafana_is_shown_and_may_call_the_api() -> None:
    local = yaml.safe_load((CHART / "ci" / "local-values.yaml").read_text(encoding="utf-8"))
    settings = GRAFANA["grafana.ini"]
    assert local["api"]["origins"] == [settings["server"]["root_url"]]
    assert settings["auth.anonymous"] == {"enabled": True, "org_role": "Editor"}
