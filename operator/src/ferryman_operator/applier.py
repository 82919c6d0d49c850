"""Applier: makes the cluster's objects what the builders say, and writes only on a difference.

An object differs when the wish changed, or when somebody changed it: its generation moved on since our last apply.
That needs no field-by-field comparison with an object in which the API server has filled in its defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ferryman_operator.cluster import Cluster, Conflict
from ferryman_operator.world import Kind, World

#: Attempts when others write at the same moment.
ATTEMPTS: Final = 3


class Applier:
    """Remembers what it applied, so that an unchanged world costs no request."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._cluster = cluster
        self._world = world
        self._applied: dict[tuple[Kind, str, str], tuple[str, str, int]] = {}

    async def apply(self, wish: Mapping[str, Any]) -> bool:
        """Apply `wish` if the object differs; True when it was written. Raises ClusterError."""
        kind = Kind(wish["kind"])
        key = (kind, wish["metadata"]["namespace"], wish["metadata"]["name"])
        text = json.dumps(wish, sort_keys=True)
        live = self._world.get(*key)
        if live is not None and self._applied.get(key) == (
            text,
            live["metadata"]["uid"],
            live["metadata"]["generation"],
        ):
            return False
        reply = await self._write(kind, wish)
        self._world.put(kind, reply)
        self._applied[key] = (text, reply["metadata"]["uid"], reply["metadata"]["generation"])
        return True

    async def remove(self, kind: Kind, live: Mapping[str, Any]) -> None:
        """Delete an object that no TaskQueue calls for any more. Raises ClusterError."""
        metadata = live["metadata"]
        self._applied.pop((kind, metadata["namespace"], metadata["name"]), None)
        await self._cluster.delete(kind, metadata["namespace"], metadata["name"], metadata["uid"])

    def forget(self, namespace: str, names: set[str]) -> None:
        """Drop what is remembered of objects that are gone."""
        for key in [key for key in self._applied if key[1] == namespace and key[2] in names]:
            del self._applied[key]

    async def _write(self, kind: Kind, wish: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._cluster.apply(kind, wish)
            except Conflict:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")
