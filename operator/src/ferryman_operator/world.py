"""World: what the watches have shown of the cluster, kept in memory.

A watch can miss a deletion or stop unnoticed, so the world is also replaced by whole lists from time to time; an
object that was seen in a newer version than the list's is kept. What a list shows and the watch does not bring soon
after is the sign of a dead watch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from ferryman_operator.alarm import Alarm
from ferryman_operator.pods import Pod, pod_from
from ferryman_operator.watches import Watches

Object = Mapping[str, Any]

#: How many deleted pods are remembered as proof of death.
MOST_DELETED: Final = 5000


class Kind(StrEnum):
    """The kinds that the operator watches or makes."""

    TASK_QUEUE = "TaskQueue"
    TASK_SCHEDULE = "TaskSchedule"
    DEPLOYMENT = "Deployment"
    CRON_JOB = "CronJob"
    DISRUPTION_BUDGET = "PodDisruptionBudget"
    POD_MONITOR = "PodMonitor"
    POD = "Pod"


#: The bulk of a child is what the operator itself has put there, and never reads again.
_BULK: Final = {
    Kind.DEPLOYMENT: ("template",),
    Kind.CRON_JOB: ("jobTemplate",),
    Kind.POD: ("containers", "initContainers", "volumes"),
}


class World:
    """Objects by kind, namespace and name; pods by uid."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {kind: {} for kind in Kind if kind is not Kind.POD}
        self._pods: dict[str, Pod] = {}
        self._crews: defaultdict[tuple[str, str], dict[str, Pod]] = defaultdict(dict)
        self._deleted_pods: dict[str, Pod] = {}
        self.watches = Watches()
        #: Rings when a worker's process was seen to end: its successor may take over, and tell less, within a second.
        self.alarm = Alarm()
        #: Why a kind can't be listed in a namespace (None = in all): what is there is not known.
        self.unseen: dict[tuple[Kind, str | None], str] = {}

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

    def unseen_in(self, namespace: str) -> str:
        """Why a part of a namespace can't be seen; "" when all of it is."""
        return next((why for (_, one), why in self.unseen.items() if _inside(namespace, one)), "")

    def workers_of(self, namespace: str, name: str) -> list[Pod]:
        """The worker pods of a TaskQueue."""
        return list(self._crews.get((namespace, name), {}).values())

    def observe(self, kind: Kind, event: str | None, body: Object) -> None:
        """Take in a watch event (`event` is ADDED, MODIFIED, DELETED, or None at a listing)."""
        self.watches.heard(kind, body["metadata"]["namespace"])
        if kind is Kind.POD:
            self._observe_pod(event, body)
        elif event == "DELETED":
            self._objects[kind].pop(_key(body), None)
        else:
            self.put(kind, body)

    def put(self, kind: Kind, body: Object) -> None:
        """Take in an object, unless this version of it or a newer one is known."""
        if self._known_version(kind, body) < _version(body):
            self._objects[kind][_key(body)] = slim(kind, body)

    def forget(self, kind: Kind, body: Object) -> None:
        """An object was deleted by ourselves; of a kind that is only listed no watch would tell."""
        self._objects[kind].pop(_key(body), None)

    def replace(self, kind: Kind, bodies: Iterable[Object], version: int, namespace: str | None, now_s: float) -> None:
        """Take in a whole list of a kind, as of `version`, of one namespace or of all; `now_s` is monotonic.

        What is not in the list is gone, which proves nothing about a pod.
        """
        listed = set()
        for body in bodies:
            key = _key(body)
            listed.add(body["metadata"]["uid"] if kind is Kind.POD else key)
            if self._known_version(kind, body) < _version(body):
                self.watches.owes(kind, namespace, now_s)
                if kind is Kind.POD:
                    self._keep(pod_from(body))
                else:
                    self.put(kind, body)
        if kind is Kind.POD:
            for pod in [pod for uid, pod in self._pods.items() if uid not in listed]:
                if pod.version <= version and _inside(pod.namespace, namespace):
                    self._drop(pod)
            return
        for key in [key for key in self._objects[kind] if key not in listed]:
            if _version(self._objects[kind][key]) <= version and _inside(key[0], namespace):
                del self._objects[kind][key]

    def _known_version(self, kind: Kind, body: Object) -> int:
        if kind is Kind.POD:
            uid = body["metadata"]["uid"]
            pod = self._pods.get(uid) or self._deleted_pods.get(uid)
            return pod.version if pod else -1
        known = self._objects[kind].get(_key(body))
        return _version(known) if known else -1

    def _observe_pod(self, event: str | None, body: Object) -> None:
        if event != "DELETED":
            if self._known_version(Kind.POD, body) < _version(body) and (
                body["metadata"]["uid"] not in self._deleted_pods
            ):
                pod = pod_from(body)
                self._note_ends(pod)
                self._keep(pod)
            return
        pod = pod_from(body)
        self._note_ends(pod)
        self._drop(pod)
        self._deleted_pods[pod.uid] = pod
        while len(self._deleted_pods) > MOST_DELETED:
            del self._deleted_pods[next(iter(self._deleted_pods))]

    def _note_ends(self, pod: Pod) -> None:
        known = self._pods.get(pod.uid)
        if known is not None and pod.exits != known.exits:
            self.alarm.ring()

    def _keep(self, pod: Pod) -> None:
        self._pods[pod.uid] = self._crews[pod.namespace, pod.instance][pod.uid] = pod

    def _drop(self, pod: Pod) -> None:
        self._pods.pop(pod.uid, None)
        crew = (pod.namespace, pod.instance)
        self._crews[crew].pop(pod.uid, None)
        if not self._crews[crew]:
            del self._crews[crew]


def _inside(namespace: str, listed: str | None) -> bool:
    return listed is None or namespace == listed


def _key(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _version(body: Object) -> int:
    return int(body["metadata"].get("resourceVersion", 0))


def slim(kind: Kind, body: Object) -> Object:
    """Without managedFields, which are often half of an object, and without what nobody reads."""
    metadata = {field: value for field, value in body["metadata"].items() if field != "managedFields"}
    if not (bulk := _BULK.get(kind)):
        return {**body, "metadata": metadata}
    spec = {field: value for field, value in (body.get("spec") or {}).items() if field not in bulk}
    return {**body, "metadata": metadata, "spec": spec}
