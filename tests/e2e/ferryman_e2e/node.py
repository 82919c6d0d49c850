"""SIGKILL from outside: ends a worker's process as the kernel's OOM killer would, on any node of any cluster.

A container's first process cannot be killed from inside its own PID namespace, so a privileged pod in the node's
PID namespace does it. It lives in a namespace of its own; the scenes' namespaces stay `restricted`.
"""

from typing import Any

from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.waiting import until

NAMESPACE = "ferryman-e2e-node"
_POD = "reaper"

# Finds the first process of the container that runs `ferryman worker` in the pod with that UID, and kills it.
# NSpid's last number is a process's PID in its own namespace. systemd's cgroups write the UID with underscores.
_KILL_FIRST_PROCESS = r"""
uid=$1 other=$(echo "$1" | tr - _)
for process in /proc/[0-9]*; do
  grep -q -e "$uid" -e "$other" "$process/cgroup" 2>/dev/null || continue
  [ "$(sed -n 's/^NSpid:.*[[:space:]]//p' "$process/status" 2>/dev/null)" = 1 ] || continue
  tr '\0' ' ' <"$process/cmdline" | grep -q 'worker' || continue
  kill -9 "${process#/proc/}" && echo killed && exit 0
done
echo "no worker process of pod $uid here" >&2
exit 1
"""


class Node:
    """The nodes' processes, through one privileged pod."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl.within(NAMESPACE)

    def start(self, image: str) -> None:
        """Makes the pod, from any image that has a shell, grep and sed. Idempotent."""
        self._kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": NAMESPACE,
                    "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
                },
            }
        )
        self._kubectl.apply(_pod(image))
        until("the pod that kills processes runs", self._phase, lambda phase: phase == "Running", 60)

    def stop(self) -> None:
        """Removes the pod and its namespace."""
        self._kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")

    def kill_worker(self, pod: dict[str, Any]) -> None:
        """kill -9 of the worker process in this pod (a manifest as Kubernetes gives it)."""
        uid = pod["metadata"]["uid"]
        self._kubectl.run("exec", _POD, "--", "sh", "-c", _KILL_FIRST_PROCESS, "sh", uid)

    def _phase(self) -> str:
        pod = self._kubectl.get("pod", _POD) or {}
        return str(pod.get("status", {}).get("phase", ""))


def _pod(image: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": _POD, "namespace": NAMESPACE},
        "spec": {
            "hostPID": True,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "reaper",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["sleep", "infinity"],
                    "securityContext": {"privileged": True, "runAsUser": 0},
                }
            ],
        },
    }
