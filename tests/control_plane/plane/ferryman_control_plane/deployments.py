"""Deployments: how many replicas each worker Deployment asks for, and since when, by a watch of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from ferryman_control_plane.plane import ControlPlane

PATH = "/apis/apps/v1/deployments"
WORKERS = {"labelSelector": "app.kubernetes.io/component=worker"}


@dataclass(frozen=True, slots=True)
class Size:
    """Replicas that a Deployment asks for since `at_s` (monotonic), after `steps` changes since the question."""

    replicas: int
    at_s: float
    steps: int


class Deployments:
    """Watches until it is closed."""

    def __init__(self, plane: ControlPlane) -> None:
        self._client = plane.client()
        self._changed = threading.Condition()
        self._sizes: dict[str, list[tuple[float, int]]] = {}
        listed = self._client.get(PATH, params=WORKERS).json()
        for one in listed["items"]:
            self._take(one)
        query = {**WORKERS, "watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
        self._thread = threading.Thread(target=self._watch, args=(query,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch."""
        self._client.close()

    def until(self, names: Sequence[str], replicas: int, *, since_s: float, timeout_s: float) -> list[Size]:
        """Wait until all of them ask for `replicas`. Raises AssertionError with those that do not in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while late := [name for name in names if self._sizes.get(name, [(0.0, 0)])[-1][1] != replicas]:
                left_s = deadline - time.monotonic()
                assert left_s > 0, (
                    f"{len(late)} of {len(names)} do not have {replicas}: {late[0]} {self._sizes[late[0]]}"
                )
                self._changed.wait(left_s)
            found = [[size for size in self._sizes[name] if size[0] >= since_s] for name in names]
        return [Size(sizes[-1][1], sizes[-1][0], len(sizes)) for sizes in found]

    def _watch(self, query: dict[str, str]) -> None:
        try:
            with self._client.stream("GET", PATH, params=query, timeout=None) as reply:
                for line in reply.iter_lines():
                    self._take(json.loads(line)["object"])
        except (httpx.HTTPError, RuntimeError):
            return  # closed

    def _take(self, body: dict[str, object]) -> None:
        name, replicas = body["metadata"]["name"], body["spec"]["replicas"]  # type: ignore[index]
        with self._changed:
            sizes = self._sizes.setdefault(name, [])
            if not sizes or sizes[-1][1] != replicas:
                sizes.append((time.monotonic(), replicas))
                self._changed.notify_all()
