"""What the operator knows of a worker's pod, read once from each event.

A worker writes its id to its termination log when it starts, so the message of a terminated container names
exactly the process that died, also after a SIGKILL and when its successor already runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

#: The container of the worker in its pod.
WORKER_CONTAINER: Final = "worker"


@dataclass(frozen=True, slots=True)
class Exit:
    """A process of the worker container that has ended: the worker's id, and why in the kubelet's words."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pod:
    """A worker's pod."""

    namespace: str
    name: str
    uid: str
    instance: str  # the TaskQueue
    version: int  # resourceVersion
    created_s: float  # epoch
    phase: str
    ready: bool
    terminating: bool
    disrupted: bool  # Kubernetes announced its end: drain, preemption, eviction for the node's sake
    scheduled: bool
    running: bool  # the worker container runs
    reachable: bool  # the node still speaks for it
    ended: bool  # every container has terminated
    trouble: str  # why the worker container does not start, or ""
    exits: tuple[Exit, ...]
    killed_s: float = 0.0  # epoch: when its grace ends, if it is terminating; else 0

    @property
    def counts(self) -> bool:
        """Whether the ReplicaSet still counts it as one of its replicas."""
        return not self.terminating and self.phase not in ("Succeeded", "Failed")


def pod_from(body: Mapping[str, Any]) -> Pod:
    """The pod of a watch event."""
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    worker: Mapping[str, Any] = next((one for one in containers if one["name"] == WORKER_CONTAINER), {})
    ready = _is_true(conditions, "Ready")
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        instance=(metadata.get("labels") or {}).get("app.kubernetes.io/instance", ""),
        version=int(metadata["resourceVersion"]),
        created_s=_epoch(metadata["creationTimestamp"]),
        phase=status.get("phase", "Pending"),
        ready=ready,
        terminating="deletionTimestamp" in metadata,
        killed_s=_epoch(metadata["deletionTimestamp"]) if "deletionTimestamp" in metadata else 0.0,
        disrupted=_is_true(conditions, "DisruptionTarget"),
        scheduled=bool((body.get("spec") or {}).get("nodeName")),
        running="running" in (worker.get("state") or {}),
        # The node controller takes only the pod's Ready away from an unreachable node: the container stays "ready".
        reachable=ready or not worker.get("ready", False),
        ended=bool(containers) and all("terminated" in (one.get("state") or {}) for one in containers),
        trouble=_trouble(worker, conditions),
        exits=_exits(worker, metadata["uid"], _evicted(status)),
    )


def _epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _is_true(conditions: Mapping[str, Any], name: str) -> bool:
    return bool(conditions.get(name, {}).get("status") == "True")


def _evicted(status: Mapping[str, Any]) -> str:
    """Why the kubelet put the whole pod out (its own limits, or the node's need), or ""."""
    if status.get("reason") != "Evicted":
        return ""
    return f"Evicted: {' '.join((status.get('message') or 'no reason given').split())[:200]} "


def _exits(worker: Mapping[str, Any], uid: str, evicted: str) -> tuple[Exit, ...]:
    """Ended processes whose message is the id of a worker of this very pod; anything else proves nothing."""
    told = (("lastState", ""), ("state", evicted))  # an eviction is what ended the last process, and no earlier one
    ends = [((worker.get(part) or {}).get("terminated") or {}, why) for part, why in told]
    return tuple(
        Exit(message, f"{why}{end.get('reason', 'Unknown')}, exit code {end.get('exitCode', '?')}")
        for end, why in ends
        if (message := (end.get("message") or "").strip()).startswith(f"{uid}.{WORKER_CONTAINER}.")
        and end.get("reason") != "ContainerStatusUnknown"
    )


def _trouble(worker: Mapping[str, Any], conditions: Mapping[str, Any]) -> str:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"{scheduled.get('reason', 'Unschedulable')}: {scheduled.get('message', '')}".rstrip(": ")
    waiting = (worker.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in (None, "ContainerCreating", "PodInitializing"):
        return ""
    return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
