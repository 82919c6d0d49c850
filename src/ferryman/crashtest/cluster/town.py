"""Town: where a crash test takes place: finds Ferryman in the cluster, builds what the test needs, and removes it.

Says what is missing before it makes anything: the CRD, a running operator; and while it waits, why a pod does not
start: an image that can't be pulled is named, not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.cluster import objects
from ferryman.crashtest.cluster.kubectl import Kubectl, KubectlFailed, Object

CRD: Final = "taskqueues.ferryman.dev"
OPERATOR_LABELS: Final = "app.kubernetes.io/name=ferryman,app.kubernetes.io/component=operator"
WORKER_LABELS: Final = "app.kubernetes.io/component=worker,app.kubernetes.io/instance="
SCHEDULER_LABELS: Final = "app.kubernetes.io/component=scheduler"
_REDIS_LABELS: Final = "app.kubernetes.io/name=ferryman,app.kubernetes.io/component=redis"
_FALLBACK_REDIS: Final = "docker.io/valkey/valkey:8"
_LOOK_EVERY_S: Final = 0.5
_READY_WITHIN_S: Final = 180.0
_GONE_WITHIN_S: Final = 90
#: A pod that waits for one of these waits for a person.
_HOPELESS: Final = (
    *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
    *("CreateContainerConfigError", "CreateContainerError", "CrashLoopBackOff"),
)


class Town:
    """`kubectl` is in the namespace of the test; `operator` in that of the operator."""

    def __init__(self, kubectl: Kubectl, say: Callable[[str], None]) -> None:
        self.kubectl = kubectl
        self._say = say
        self._made_namespace = False
        self.operator: Kubectl = kubectl
        self.operator_deployment = ""
        self._operator: Object = {}

    async def find_ferryman(self) -> None:
        """Raises CommandFailed, with what to do, when Ferryman does not run in this cluster."""
        try:
            await self.kubectl.run("get", "--raw", "/readyz", "--request-timeout=5s", timeout_s=15)
        except KubectlFailed as error:
            raise CommandFailed(f"no cluster answers; is the kubeconfig right? {error.message}") from error
        if not await self.kubectl.get("crd", CRD):
            raise CommandFailed(
                f"this cluster has no {CRD}. Install Ferryman first:\n"
                "  helm install ferryman charts/ferryman --namespace ferryman-system --create-namespace"
            )
        found = await self.kubectl.list("deployments", OPERATOR_LABELS, everywhere=True)
        if not found:
            raise CommandFailed("no Deployment of Ferryman's operator is in this cluster; is the chart installed?")
        self._operator = found[0]
        metadata = self._operator["metadata"]
        self.operator = self.kubectl.within(metadata["namespace"])
        self.operator_deployment = metadata["name"]
        if not (self._operator.get("status") or {}).get("readyReplicas"):
            raise CommandFailed(
                f"the operator is not running: kubectl -n {metadata['namespace']} get pods; then, if it was stopped: "
                f"kubectl -n {metadata['namespace']} scale deployment/{metadata['name']} --replicas=1"
            )

    def worker_image(self) -> str:
        """The plain worker image of the same release as the operator."""
        image: str = self._operator["spec"]["template"]["spec"]["containers"][0]["image"]
        registry, _, name = image.rpartition("/")
        return f"{registry}/{name.replace('operator', 'worker', 1)}".lstrip("/")

    async def redis_image(self) -> str:
        """That of the chart's Redis for trials, where there is one."""
        found = await self.kubectl.list("statefulsets", _REDIS_LABELS, everywhere=True)
        images = [one["spec"]["template"]["spec"]["containers"][0]["image"] for one in found]
        return str(images[0]) if images else _FALLBACK_REDIS

    async def has_volumes(self) -> bool:
        """Whether claims without a class get a volume."""
        note = "storageclass.kubernetes.io/is-default-class"
        classes = await self.kubectl.list("storageclasses")
        return any((one["metadata"].get("annotations") or {}).get(note) == "true" for one in classes)

    async def enter(self) -> None:
        """Makes the namespace unless it exists."""
        if await self.kubectl.get("namespace", self.kubectl.namespace) is None:
            self._made_namespace = True
            await self.kubectl.apply([objects.namespace(self.kubectl.namespace)])

    def workers_of(self, queue: str) -> str:
        """The labels of the worker pods of a TaskQueue."""
        return f"{WORKER_LABELS}{queue}"

    async def build(self, what: Sequence[Object], selector: str, pods: int = 1) -> None:
        """Applies objects and waits until so many pods with these labels are ready. Raises CommandFailed."""
        await self.kubectl.apply(what)
        await self.wait_ready(selector, pods, _READY_WITHIN_S)

    async def wait_ready(self, selector: str, pods: int, within_s: float) -> None:
        """Raises CommandFailed when a pod can't start, or when the time is up, with what the pods said."""
        give_up = asyncio.get_running_loop().time() + within_s
        while True:
            found = await self.kubectl.list("pods", selector)
            if sum(map(is_ready, found)) >= pods:
                return
            if trouble := next(filter(None, map(trouble_of, found)), ""):
                raise CommandFailed(f"{trouble}{await self._words(found)}")
            if asyncio.get_running_loop().time() > give_up:
                hint = "" if found else "; does the operator watch this namespace?"
                raise CommandFailed(
                    f"{sum(map(is_ready, found))} of {pods} pods with {selector} are ready in "
                    f"{self.kubectl.namespace} after {within_s:g} s{hint}{await self._words(found)}"
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def leave(self, keep: bool) -> None:
        """Removes what was made, unless it is to be kept."""
        name = self.kubectl.namespace
        if keep:
            self._say(f"the namespace {name} stays: kubectl -n {name} get all,taskqueues,pvc")
            return
        self._say(f"removing what the test made in {name}")
        await self._try("delete", "taskqueues", "-l", objects.LABEL, "--timeout=30s", "--ignore-not-found")
        # Nothing is left to finish.
        await self._try("delete", "pods", "-l", f"{WORKER_LABELS.split(',')[0]}", "--force", "--grace-period=0")
        kinds = "statefulsets,pods,services,configmaps,persistentvolumeclaims"
        await self._try("delete", kinds, "-l", objects.LABEL, f"--timeout={_GONE_WITHIN_S}s")
        if self._made_namespace:
            await self._try("delete", "namespace", name, "--ignore-not-found", f"--timeout={_GONE_WITHIN_S}s")

    async def _try(self, *words: str) -> None:
        try:
            await self.kubectl.insist(*words, timeout_s=_GONE_WITHIN_S + 10)
        except CommandFailed as error:
            self._say(f"left behind: {error.message}")

    async def _words(self, pods: Iterable[Object]) -> str:
        for pod in pods:
            name = pod["metadata"]["name"]
            try:
                text = await self.kubectl.run("logs", name, "--all-containers", "--tail=8", timeout_s=15)
            except KubectlFailed:
                continue
            if text.strip():
                return f". {name} said:\n{text.rstrip()}"
        return ""


def is_ready(pod: Object) -> bool:
    """Whether the pod is Ready and is not being deleted."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def trouble_of(pod: Object) -> str:
    """Why the pod will never start by itself, or ""."""
    statuses: list[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    for status in statuses:
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            name = pod["metadata"]["name"]
            return f"{name} can't start ({status['image']}): {waiting['reason']}: {waiting.get('message', '')}".rstrip(
                ": "
            )
    return ""


def restarts(pod: Object) -> int:
    """How often its containers were restarted: the kubelet waits longer each time."""
    return sum(int(one["restartCount"]) for one in (pod.get("status") or {}).get("containerStatuses") or ())
