"""World: what the watches have shown of the cluster, kept in memory.

A watch can miss a deletion or stop unnoticed, so the world is also replaced by whole lists from time to time; an
object that was seen in a newer version than the list's is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from ferryman_operator.pods import Pod, pod_from

Object = Mapping[str, Any]

#: How many deleted pods are remembered as proof of death.
MOST_DELETED: Final = 5000


class Kind(StrEnum):
    """The kinds that the operator watches or makes."""

    TASK_QUEUE = "TaskQueue"
    DEPLOYMENT = "Deployment"
    CRON_JOB = "CronJob"
    DISRUPTION_BUDGET = "PodDisruptionBudget"
    POD_MONITOR = "PodMonitor"
    POD = "Pod"


class World:
    """Objects by kind, namespace and name; pods by uid."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {kind: {} for kind in Kind if kind is not Kind.POD}
        self._pods: dict[str, Pod] = {}
        self._deleted_pods: dict[str, Pod] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """An object, or None."""
        return self._objects[kind].get((namespace, name))

    def all(self, kind: Kind) -> list[Object]:
        """All objects of a kind but pods."""
        return list(self._objects[kind].values())

    @property
    def pods(self) -> Mapping[str, Pod]:
        """Worker pods that exist, by uid."""
        return self._pods

    @property
    def deleted_pods(self) -> Mapping[str, Pod]:
        """Worker pods whose DELETED event was seen, in their last state, by uid."""
        return self._deleted_pods

    def workers_of(self, namespace: str, name: str) -> list[Pod]:
        """The worker pods of a TaskQueue."""
        return [pod for pod in self._pods.values() if pod.instance == name and pod.namespace == namespace]

    def observe(self, kind: Kind, event: str | None, body: Object) -> None:
        """Take in a watch event (`event` is ADDED, MODIFIED, DELETED, or None at a listing)."""
        if kind is Kind.POD:
            self._observe_pod(event, pod_from(body))
        elif event == "DELETED":
            self._objects[kind].pop(_key(body), None)
        else:
            self.put(kind, body)

    def put(self, kind: Kind, body: Object) -> None:
        """Take in an object, unless a newer version of it is known."""
        known = self._objects[kind].get(_key(body))
        if known is None or _version(known) <= _version(body):
            self._objects[kind][_key(body)] = _slim(body)

    def replace(self, kind: Kind, bodies: Iterable[Object], version: int, namespace: str | None) -> None:
        """Take in a whole list of a kind, as of `version`, of one namespace or of all.

        What is not in the list is gone, which proves nothing about a pod.
        """
        if kind is Kind.POD:
            listed = {pod.uid: pod for pod in map(pod_from, bodies)}
            kept = {
                uid: pod
                for uid, pod in self._pods.items()
                if pod.version > version or _outside(pod.namespace, namespace)
            }
            self._pods = listed | kept
            return
        found = {_key(body): _slim(body) for body in bodies}
        others = {
            key: body
            for key, body in self._objects[kind].items()
            if _version(body) > version or _outside(key[0], namespace)
        }
        self._objects[kind] = found | others

    def _observe_pod(self, event: str | None, pod: Pod) -> None:
        if event != "DELETED":
            if pod.uid not in self._deleted_pods:
                self._pods[pod.uid] = pod
            return
        self._pods.pop(pod.uid, None)
        self._deleted_pods[pod.uid] = pod
        while len(self._deleted_pods) > MOST_DELETED:
            del self._deleted_pods[next(iter(self._deleted_pods))]


def _outside(namespace: str, listed: str | None) -> bool:
    return listed is not None and namespace != listed


def _key(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _version(body: Object) -> int:
    return int(body["metadata"].get("resourceVersion", 0))


def _slim(body: Object) -> Object:
    """Without managedFields, which are often half of an object."""
    metadata = {field: value for field, value in body["metadata"].items() if field != "managedFields"}
    return {**body, "metadata": metadata}
