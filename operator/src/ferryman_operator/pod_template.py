"""What every pod that the operator makes has in common: no rights, no root, no writable disk but /tmp.

The pods satisfy the `restricted` level of Kubernetes' pod security standards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ferryman_operator.spec import RedisRef

#: Where a Secret with the URL of Redis is mounted. A mounted Secret follows its changes without a restart.
REDIS_MOUNT: Final = "/etc/ferryman/redis"

#: A pod on a node that stopped answering is replaced after this time instead of Kubernetes' five minutes.
LOST_NODE_S: Final = 30


def pod_security() -> dict[str, Any]:
    """Security context of a pod."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> dict[str, Any]:
    """Security context of a container."""
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def lost_node_tolerations() -> list[dict[str, Any]]:
    """Leave a lost node soon."""
    return [
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": LOST_NODE_S,
        }
        for key in ("not-ready", "unreachable")
    ]


def redis_env(redis: RedisRef) -> list[dict[str, Any]]:
    """Tells a process where its Redis is: by URL, or by the file that holds it."""
    if redis.secret is None:
        return [{"name": "FERRYMAN_REDIS_URL", "value": redis.url}]
    return [{"name": "FERRYMAN_REDIS_URL_FILE", "value": f"{REDIS_MOUNT}/url"}]


def pull_secrets(names: Sequence[str]) -> dict[str, Any]:
    """The Secrets with which the kubelet pulls Ferryman's own image; one that is missing does no harm."""
    return {"imagePullSecrets": [{"name": name} for name in names]} if names else {}


def volumes(redis: RedisRef) -> list[dict[str, Any]]:
    """A writable /tmp, and the Secret with the URL of Redis if there is one."""
    found: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if redis.secret is not None:
        items = [{"key": redis.key, "path": "url"}]
        found.append({"name": "redis", "secret": {"secretName": redis.secret, "items": items}})
    return found


def mounts(redis: RedisRef) -> list[dict[str, Any]]:
    """Where `volumes` are mounted."""
    found: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 the pod's own emptyDir
    if redis.secret is not None:
        found.append({"name": "redis", "mountPath": REDIS_MOUNT, "readOnly": True})
    return found


def probe(path: str, period_s: int, failures: int, **more: Any) -> dict[str, Any]:
    """An HTTP probe on the container's port `http`."""
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period_s,
        "failureThreshold": failures,
        "timeoutSeconds": 5,
        **more,
    }
