"""A real Prometheus in the cluster: finds Ferryman's pods as a PodMonitor would, and answers what Grafana would ask."""

import time
from typing import Any

import httpx

from ferryman_e2e.forward import Forward
from ferryman_e2e.kubectl import Kubectl

NAMESPACE = "ferryman-e2e-monitoring"
IMAGE = "localhost/ferryman-prometheus:dev"
SCRAPE_S = 2

# Every pod of Ferryman that is running, on its port `http`; the labels are those that a PodMonitor sets.
_CONFIG = f"""
global:
  scrape_interval: {SCRAPE_S}s
  scrape_timeout: {SCRAPE_S}s
scrape_configs:
- job_name: ferryman
  kubernetes_sd_configs: [{{role: pod}}]
  relabel_configs:
  - {{source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_part_of], regex: ferryman, action: keep}}
  - {{source_labels: [__meta_kubernetes_pod_container_port_name], regex: http, action: keep}}
  - {{source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}}
  - {{source_labels: [__meta_kubernetes_namespace], target_label: namespace}}
  - {{source_labels: [__meta_kubernetes_pod_name], target_label: pod}}
  - {{source_labels: [__meta_kubernetes_pod_container_name], target_label: container}}
"""


class Prometheus:
    """Prometheus in a namespace of its own."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl.within(NAMESPACE)
        self._forward = Forward(self._kubectl, "deployment/prometheus", 9090)
        self._client = httpx.Client(timeout=20, trust_env=False)

    def start(self) -> None:
        """Makes it and waits until it runs. Idempotent."""
        self._kubectl.apply(*_objects())
        self._kubectl.rollout("deployment/prometheus")

    def stop(self) -> None:
        """Removes it with what it has stored."""
        self._client.close()
        self._forward.close()
        self._kubectl.run("delete", "clusterrolebinding,clusterrole", NAMESPACE, "--ignore-not-found")
        self._kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, with `health` and `lastError`."""
        found: list[dict[str, Any]] = self._ask("targets", {"state": "active"})["activeTargets"]
        return found

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        series: list[dict[str, Any]] = self._ask("query", {"query": expr})["result"]
        return series

    def query_range(self, expr: str, for_s: float) -> list[dict[str, Any]]:
        """The series of the last `for_s` seconds, as a panel draws them. AssertionError: a wrong query."""
        now = time.time()
        ask = {"query": expr, "start": now - for_s, "end": now, "step": SCRAPE_S}
        series: list[dict[str, Any]] = self._ask("query_range", ask)["result"]
        return series

    def _ask(self, what: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.get(f"{self._forward.url()}/api/v1/{what}", params=parameters)
        assert answer.status_code == 200, f"{parameters}: {answer.text}"
        data: dict[str, Any] = answer.json()["data"]
        return data


def _objects() -> list[dict[str, Any]]:
    labels = {"app": "prometheus"}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": NAMESPACE}
    account = {"kind": "ServiceAccount", "name": "prometheus", "namespace": NAMESPACE}
    pod = {
        "serviceAccountName": "prometheus",
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "prometheus",
                "image": IMAGE,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"containerPort": 9090}],
                "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "config", "mountPath": "/etc/prometheus"},
                    {"name": "data", "mountPath": "/data"},
                ],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}],
    }
    rbac = "rbac.authorization.k8s.io/v1"
    here = {"namespace": NAMESPACE}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus", **here}},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": NAMESPACE}, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAMESPACE},
            "roleRef": role,
            "subjects": [account],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "prometheus", **here},
            "data": {"prometheus.yml": _CONFIG},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "prometheus", **here},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]
