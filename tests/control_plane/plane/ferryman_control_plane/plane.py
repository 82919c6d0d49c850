"""ControlPlane: etcd and the API server, on demand controllers, a scheduler and fake nodes, all on loopback.

Users are static tokens, so a test can act as anybody: `admin` may do everything, others what RBAC gives them.
Nothing runs in the pods: KWOK, on demand, says that they do.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from ferryman_control_plane.binaries import program

HERE = Path(__file__).parent

#: The group that RBAC never refuses.
MASTERS = "system:masters"

#: Writes of everybody but Kubernetes' own parts are recorded, without their contents.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "userGroups": [MASTERS]},
        {"level": "Metadata", "verbs": ["create", "update", "patch", "delete"]},
        {"level": "None"},
    ],
}

START_S = 90.0


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ControlPlane:
    """Its parts are processes of this one; `folder` keeps their state and logs."""

    def __init__(self, folder: Path, users: Sequence[str] = ("ferryman-operator",)) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.audit_log = folder / "audit.jsonl"
        self._etcd_url = f"http://127.0.0.1:{free_port()}"
        self._peer_url = f"http://127.0.0.1:{free_port()}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        tokens = [f"{name}-token,{name},{name},{MASTERS if name == 'admin' else ''}" for name in ("admin", *users)]
        self._write("tokens.csv", "\n".join(tokens) + "\n")
        self._write("audit.yaml", json.dumps(AUDIT))
        for name in ("admin", *users):
            self.kubeconfig(name)

    # What a test does.

    def start(self) -> None:
        """Start etcd and the API server; returns when it answers."""
        for words in (("genrsa", "-out", "sa.key", "2048"), ("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")):
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
        self._run(
            "etcd", "--data-dir", "etcd", "--unsafe-no-fsync", "--log-level", "warn",
            "--listen-client-urls", self._etcd_url, "--advertise-client-urls", self._etcd_url,
            "--listen-peer-urls", self._peer_url, "--initial-advertise-peer-urls", self._peer_url,
            "--initial-cluster", f"default={self._peer_url}", "--quota-backend-bytes", str(4 << 30),
        )  # fmt: skip
        self.start_api()

    def start_api(self) -> None:
        """Start the API server, or start it again on the same port; returns when it answers."""
        self._run(
            "kube-apiserver", "--etcd-servers", self._etcd_url, "--service-cluster-ip-range", "10.97.0.0/16",
            "--bind-address", "127.0.0.1", "--secure-port", str(self.port), "--cert-dir", "api",
            "--authorization-mode", "RBAC", "--allow-privileged=true", "--token-auth-file", "tokens.csv",
            "--disable-admission-plugins", "ServiceAccount", "--service-account-issuer", "https://kubernetes.default",
            "--service-account-key-file", "sa.pub", "--service-account-signing-key-file", "sa.key",
            "--audit-policy-file", "audit.yaml", "--audit-log-path", "audit.jsonl", "--audit-log-mode", "blocking",
            "--max-requests-inflight", "1000", "--max-mutating-requests-inflight", "500",
            "--shutdown-delay-duration", "0s",
        )  # fmt: skip
        self._until("the API server is ready", lambda: self._ready())

    def stop_api(self, *, kill: bool = False) -> None:
        """End the API server: in order, or as a crash would."""
        self._end("kube-apiserver", kill=kill)

    def start_controllers(self) -> None:
        """Deployments make pods, owners take their children along."""
        self._run(
            "kube-controller-manager", "--kubeconfig", "admin.kubeconfig", "--leader-elect=false",
            "--secure-port", str(free_port()), "--bind-address", "127.0.0.1", "--cert-dir", "controllers",
            "--service-account-private-key-file", "sa.key", "--kube-api-qps", "500", "--kube-api-burst", "1000",
            "--concurrent-deployment-syncs", "10", "--concurrent-replicaset-syncs", "10",
            "--controllers", "deployment-controller,replicaset-controller,garbage-collector-controller,"
            "disruption-controller,namespace-controller,cronjob-controller,job-controller",
        )  # fmt: skip

    def start_fake_nodes(self, count: int = 1) -> None:
        """Nodes without a kubelet, and a scheduler: a pod that gets there says that it runs, and is ready."""
        self._run(
            "kube-scheduler", "--kubeconfig", "admin.kubeconfig", "--leader-elect=false",
            "--secure-port", str(free_port()), "--bind-address", "127.0.0.1", "--cert-dir", "scheduler",
            "--kube-api-qps", "500", "--kube-api-burst", "1000",
        )  # fmt: skip
        self._run(
            "kwok", "--kubeconfig", "admin.kubeconfig", "--manage-all-nodes=true", "--node-lease-duration-seconds",
            "0", "--config", str(HERE / "fake_node.yaml"), "--server-address", f"127.0.0.1:{free_port()}",
        )  # fmt: skip
        with self.client() as api:
            for number in range(count):
                room = {"cpu": "1000", "memory": "1Ti", "pods": "10000"}
                node = {
                    "metadata": {"name": f"fake-{number}"},
                    "status": {"allocatable": room, "capacity": room, "nodeInfo": {"architecture": "amd64"}},
                }
                api.post("/api/v1/nodes", json=node).raise_for_status()
                # Admission taints a new node until a controller that does not run here finds it ready.
                untainted = {"spec": {"taints": None}}
                merge = {"Content-Type": "application/merge-patch+json"}
                path = f"/api/v1/nodes/fake-{number}"
                api.patch(path, content=json.dumps(untainted), headers=merge).raise_for_status()

    def kubeconfig(self, user: str, port: int | None = None) -> Path:
        """A kubeconfig of `user`; `port` leads through a relay instead of straight to the API server."""
        server = f"https://127.0.0.1:{port or self.port}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "plane", "cluster": {"server": server, "certificate-authority": "api/apiserver.crt"}}
            ],
            "users": [{"name": user, "user": {"token": f"{user}-token"}}],
            "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": user}}],
            "current-context": "plane",
        }
        return self._write(f"{user}.kubeconfig" if port is None else f"{user}-{port}.kubeconfig", json.dumps(content))

    def client(self, user: str = "admin") -> httpx.Client:
        """A client of the API server; the caller closes it."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {user}-token"},
            verify=False,
            timeout=30,
            limits=httpx.Limits(max_connections=64),
        )

    def writes(self, user: str = "ferryman-operator", since: int = 0) -> list[Mapping[str, Any]]:
        """The audit log's entries of what `user` wrote, from position `since` of the file on."""
        with self.audit_log.open(encoding="utf-8") as log:
            log.seek(since)
            entries = [json.loads(line) for line in log if line.endswith("\n")]
        return [entry for entry in entries if entry["user"]["username"] == user]

    def written(self, namespace: str, user: str = "ferryman-operator", since: int = 0) -> list[str]:
        """What `user` wrote in a namespace, as "resource name", but for leases."""
        places = [one["objectRef"] for one in self.writes(user, since) if one["responseStatus"]["code"] < 300]
        return [
            f"{place['resource']} {place.get('name', '')}"
            for place in places
            if place.get("namespace") == namespace and place["resource"] != "leases"
        ]

    def mark(self) -> int:
        """The present end of the audit log, for `writes`."""
        return self.audit_log.stat().st_size

    def close(self) -> None:
        """End all parts."""
        for name in reversed(list(self._processes)):
            self._end(name, kill=name != "kube-apiserver")

    def log(self, name: str) -> str:
        """The last lines of a part's log."""
        text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-15:])

    # How.

    def _run(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [program(name), *options], cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _end(self, name: str, *, kill: bool) -> None:
        process = self._processes.pop(name)
        if kill:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _ready(self) -> bool:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{self.log(name)}")
        try:
            with self.client() as api:
                return api.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not holds():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not within {START_S:g} s:\n{self.log('kube-apiserver')}")
            time.sleep(0.1)

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path
