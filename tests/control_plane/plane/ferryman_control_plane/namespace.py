"""Namespace: what a test does and sees in one namespace of the control plane."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from ferryman_control_plane.install import QUEUES, create, taskqueue

Object = dict[str, Any]

_GROUPS = {
    "taskqueues": "/apis/ferryman.dev/v1alpha1",
    "taskschedules": "/apis/ferryman.dev/v1alpha1",
    "deployments": "/apis/apps/v1",
    "cronjobs": "/apis/batch/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "events": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
}


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace."""

    api: httpx.Client
    name: str

    @classmethod
    def create(cls, api: httpx.Client, name: str) -> Namespace:
        """A new one."""
        create(api, "/api/v1/namespaces", {"metadata": {"name": name}})
        return cls(api, name)

    def queue(self, name: str, redis_url: str, **sections: Any) -> Object:
        """Create a TaskQueue."""
        return create(self.api, QUEUES.format(self.name), taskqueue(name, redis_url, **sections))

    def get(self, plural: str, name: str) -> Object | None:
        """An object, or None."""
        reply = self.api.get(self._path(plural, name))
        if reply.status_code == 404:
            return None
        reply.raise_for_status()
        found: Object = reply.json()
        return found

    def all(self, plural: str) -> list[Object]:
        """All objects of a kind."""
        items: list[Object] = self.api.get(self._path(plural)).json()["items"]
        return items

    def patch(self, plural: str, name: str, change: Any, kind: str = "merge-patch", **query: str) -> Object:
        """Patch an object as kubectl would."""
        reply = self.api.patch(
            self._path(plural, name),
            content=json.dumps(change),
            headers={"Content-Type": f"application/{kind}+{'yaml' if kind == 'apply-patch' else 'json'}"},
            params=query,
        )
        assert reply.status_code < 300, reply.text
        changed: Object = reply.json()
        return changed

    def delete(self, plural: str, name: str) -> None:
        """Delete an object."""
        self.api.delete(self._path(plural, name)).raise_for_status()

    def replicas(self, queue: str) -> int | None:
        """The workers that are asked for; None when there is no Deployment."""
        found = self.get("deployments", f"{queue}-worker")
        return found["spec"]["replicas"] if found else None

    def condition(self, queue: str, name: str) -> tuple[str, str, str]:
        """(status, reason, message) of a condition; empty when it is not there."""
        found = self.get("taskqueues", queue) or {}
        for one in found.get("status", {}).get("conditions", []):
            if one["type"] == name:
                return one["status"], one["reason"], one["message"]
        return "", "", ""

    def _path(self, plural: str, name: str = "") -> str:
        return f"{_GROUPS[plural]}/namespaces/{self.name}/{plural}" + (f"/{name}" if name else "")
