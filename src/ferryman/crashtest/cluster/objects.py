"""Objects: everything that a crash test makes in a cluster, as manifests. Pure.

All of it passes the pod security standard `restricted`, carries one label by which it can be found, and lies in one
namespace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ferryman.crashtest.cluster.app import shim
from ferryman.crashtest.cluster.collector import PORT
from ferryman.crashtest.cluster.kubectl import Object

LABEL: Final = "ferryman.dev/crash-test"
JOURNAL: Final = "/log/journal"
REDIS: Final = "crash-test-redis"
COLLECTOR: Final = "crash-test-collector"
PRODUCER: Final = "crash-test-producer"
_APP: Final = "crash-test-app"
_SMALL: Final = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}

# The server is no PID 1, so it can be killed from inside; and it is back at once, without the kubelet's back-off.
_REDIS_SCRIPT: Final = 'trap "exit 0" TERM; while :; do redis-server "$@" & echo $! >/tmp/pid; wait $!; sleep 0.5; done'


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: images, names and numbers. `redis_url` is that of the Redis of its own, or of a given one."""

    namespace: str
    queue: str
    image: str
    redis_image: str
    redis_url: str
    appendfsync: str
    #: Whether the data of Redis shall outlive its pod.
    volume: bool
    workers: int
    concurrency: int


def namespace(name: str) -> Object:
    """The namespace itself."""
    labels = {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def redis(cast: Cast) -> list[Object]:
    """A Redis with an append-only file that outlives its process, and with a volume its pod."""
    options = [*("--dir", "/data", "--appendonly", "yes", "--appendfsync", cast.appendfsync, "--save", "")]
    options += ["--maxmemory-policy", "noeviction", "--protected-mode", "no"]
    container = _container(
        "redis",
        cast.redis_image,
        command=["sh", "-c", _REDIS_SCRIPT, "redis", *options],
        ports=[{"containerPort": 6379}],
        readinessProbe={"tcpSocket": {"port": 6379}, "periodSeconds": 1},
        volumeMounts=[{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    )
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    claims: list[Object] = []
    if cast.volume:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "256Mi"}}}
        claims = [{"metadata": {"name": "data", "labels": {LABEL: "true"}}, "spec": claim}]
    else:
        volumes.append({"name": "data", "emptyDir": {}})
    spec = {
        "serviceName": REDIS,
        "replicas": 1,
        "selector": {"matchLabels": {LABEL: REDIS}},
        "template": {"metadata": {"labels": {LABEL: REDIS}}, "spec": _pod_spec([container], volumes)},
        "volumeClaimTemplates": claims,
    }
    stateful_set = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _metadata(cast, REDIS), "spec": spec}
    return [_service(cast, REDIS, 6379), stateful_set]


def collector(cast: Cast) -> list[Object]:
    """The execution log."""
    command = ["python", "-m", "ferryman.crashtest.cluster", "collect", JOURNAL]
    mounts = [{"name": "log", "mountPath": "/log"}]
    probe = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
    container = _container("collector", cast.image, command=command, readinessProbe=probe, volumeMounts=mounts)
    spec = _pod_spec([container], [{"name": "log", "emptyDir": {}}])
    return [_service(cast, COLLECTOR, PORT), _pod(cast, COLLECTOR, spec)]


def producer(cast: Cast, words: Sequence[str]) -> list[Object]:
    """Who enqueues, and looks at the queue. `words` are those of its command line after the queue."""
    where = f"{COLLECTOR}.{cast.namespace}"
    command = ["python", "-m", "ferryman.crashtest.cluster", "produce", cast.queue, *words, "--collector", where]
    env = [{"name": "FERRYMAN_REDIS_URL", "value": cast.redis_url}]
    container = _container("producer", cast.image, command=command, env=env)
    return [_pod(cast, PRODUCER, _pod_spec([container], []))]


def task_queue(cast: Cast) -> list[Object]:
    """The TaskQueue, at default settings but for a fixed number of workers, and the app as a file."""
    app = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(cast, _APP),
        "data": {"crash_test_app.py": shim(cast.queue, f"{COLLECTOR}.{cast.namespace}", PORT)},
    }
    mount = {"name": "crash-test-app", "mountPath": "/crash-test", "readOnly": True}
    template = {
        "spec": {
            "containers": [{"name": "worker", "volumeMounts": [mount]}],
            "volumes": [{"name": "crash-test-app", "configMap": {"name": _APP}}],
        }
    }
    spec: dict[str, Any] = {
        "redis": {"url": cast.redis_url},
        "worker": {
            "image": cast.image,
            "app": "/crash-test/crash_test_app.py",
            "concurrency": cast.concurrency,
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "template": template,
        },
        "scaling": {"minReplicas": cast.workers, "maxReplicas": cast.workers},
        # The status of every task is kept, so that "completed" and "never existed" differ for each id.
        "retention": {"completed": "1d", "completedMax": 10_000_000},
    }
    kind = {"apiVersion": "ferryman.dev/v1alpha1", "kind": "TaskQueue"}
    return [app, {**kind, "metadata": _metadata(cast, cast.queue), "spec": spec}]


def _metadata(cast: Cast, name: str) -> Object:
    return {"name": name, "namespace": cast.namespace, "labels": {LABEL: "true"}}


def _service(cast: Cast, name: str, port: int) -> Object:
    # Ready or not: whether somebody answers is for the clients to find out.
    spec = {"selector": {LABEL: name}, "ports": [{"port": port}], "publishNotReadyAddresses": True}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(cast, name), "spec": spec}


def _pod(cast: Cast, name: str, spec: Object) -> Object:
    metadata = {"name": name, "namespace": cast.namespace, "labels": {LABEL: name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _pod_spec(containers: Sequence[Object], volumes: Sequence[Object]) -> Object:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": list(containers),
        "volumes": list(volumes),
    }


def _container(name: str, image: str, **more: Any) -> Mapping[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": _SMALL,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **more,
    }
