"""Applier: makes the cluster's objects what the builders say, and writes only on a difference.

An object differs when the wish changed, or when somebody changed it: its generation moved on since our last apply, or
its labels or owners are gone. That needs no field-by-field comparison with an object in which the API server has
filled in its defaults, and what others own stays theirs. What was built from equal arguments is not built again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ferryman_operator.cluster import Cluster, ClusterError, Conflict
from ferryman_operator.world import Kind, World

#: Attempts when others write at the same moment.
ATTEMPTS: Final = 3

#: What was refused is tried again at once, and then after 1, 2, 4 … seconds, at most so many.
RETRY_MOST_S: Final = 30.0

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """An object as it should be: `build(*args)`, which is pure, so equal arguments make an equal object."""

    kind: Kind
    namespace: str
    name: str
    build: Callable[..., Object]
    args: tuple[Any, ...]

    @property
    def key(self) -> tuple[Kind, str, str]:
        """Which object."""
        return self.kind, self.namespace, self.name

    def same_as(self, other: Wish) -> bool:
        """Whether both make the same object."""
        return self.build is other.build and self.args == other.args


@dataclass(slots=True)
class _Applied:
    wish: Wish
    digest: bytes
    uid: str
    generation: int
    labels: Mapping[str, str]
    owners: list[Object]
    live: Object | None = None  # in which labels and owners were last found


@dataclass(frozen=True, slots=True)
class _Refused:
    wish: Wish
    generation: int | None
    error: ClusterError
    attempts: int
    retry_s: float


class Applier:
    """Remembers what it applied, so that an unchanged world costs no request; and what was refused, to try it less."""

    def __init__(self, cluster: Cluster, world: World, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._world = world
        self._clock = clock
        self._applied: dict[tuple[Kind, str, str], _Applied] = {}
        self._refused: dict[tuple[Kind, str, str], _Refused] = {}

    def is_settled(self, wish: Wish) -> bool:
        """Whether nothing is to be done: the object is there as we left it, and the wish is the same."""
        applied = self._applied.get(wish.key)
        live = self._world.get(*wish.key)
        return (
            applied is not None
            and live is not None
            and not self._refused.get(wish.key)
            and _untouched(applied, live)
            and wish.same_as(applied.wish)
        )

    async def apply(self, wish: Wish) -> bool:
        """Apply `wish` if the object differs; True when it was written. Raises ClusterError."""
        live = self._world.get(*wish.key)
        applied = self._applied.get(wish.key)
        generation = live["metadata"]["generation"] if live else None
        refused = self._refused.get(wish.key)
        again = refused is not None and refused.wish.same_as(wish) and refused.generation == generation
        if refused and again and self._clock() < refused.retry_s:
            raise refused.error
        body = wish.build(*wish.args)
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()
        if applied and live and applied.digest == digest and _untouched(applied, live):
            applied.wish = wish
            self._refused.pop(wish.key, None)
            return False
        try:
            reply = await self._write(wish.kind, body)
        except Conflict:
            raise
        except ClusterError as error:
            attempts = refused.attempts + 1 if refused and again else 0
            wait_s = min(RETRY_MOST_S, 2.0 ** (attempts - 1)) if attempts else 0.0
            self._refused[wish.key] = _Refused(wish, generation, error, attempts, self._clock() + wait_s)
            raise
        self._refused.pop(wish.key, None)
        self._world.put(wish.kind, reply)
        metadata, asked = reply["metadata"], body["metadata"]
        self._applied[wish.key] = _Applied(
            wish, digest, metadata["uid"], metadata["generation"], asked["labels"], asked["ownerReferences"]
        )
        return True

    async def remove(self, kind: Kind, live: Mapping[str, Any]) -> None:
        """Delete an object that no TaskQueue calls for any more. Raises ClusterError."""
        metadata = live["metadata"]
        self._applied.pop((kind, metadata["namespace"], metadata["name"]), None)
        await self._cluster.delete(kind, metadata["namespace"], metadata["name"], metadata["uid"])

    def tidy(self) -> None:
        """Drop what is remembered of objects that are gone; those that are missed are applied anew anyway."""
        for key in [key for key in self._applied if self._world.get(*key) is None]:
            del self._applied[key]
        late_s = self._clock() - 2 * RETRY_MOST_S
        for key in [key for key, refused in self._refused.items() if refused.retry_s < late_s]:
            del self._refused[key]

    async def _write(self, kind: Kind, body: Object) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._cluster.apply(kind, body)
            except Conflict:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")


def _untouched(applied: _Applied, live: Object) -> bool:
    """Whether the object is as our last apply left it. Labels and owners can change without a new generation."""
    if live is applied.live:
        return True
    metadata = live["metadata"]
    if (metadata["uid"], metadata["generation"]) != (applied.uid, applied.generation):
        return False
    labels, owners = metadata.get("labels") or {}, metadata.get("ownerReferences") or []
    if any(labels.get(name) != value for name, value in applied.labels.items()):
        return False
    if any(owner not in owners for owner in applied.owners):
        return False
    applied.live = live
    return True
