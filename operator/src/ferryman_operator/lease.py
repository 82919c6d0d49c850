"""Lease: one operator at a time, by Kubernetes' own Leases. `Recreate` and one replica are no such promise.

A holder stops to write some seconds before others may take its lease, by its own monotonic clock; others count from
when they last saw the lease change, by theirs. So clocks need not agree. Each taking over is a new epoch: what was
begun in an older one writes nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from ferryman_operator.cluster import Cluster, ClusterError, Conflict, NotFound
from ferryman_operator.names import MANAGER

logger = logging.getLogger(__name__)

#: Others may take a lease that was not renewed for this long.
DURATION_S: Final = 20.0
#: How long its holder relies on it. The difference is for a write that is on its way.
HELD_S: Final = 15.0
RENEW_EVERY_S: Final = 4.0
LOOK_EVERY_S: Final = 2.0


class Lease:
    """The lease of one namespace."""

    def __init__(
        self, cluster: Cluster, namespace: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.namespace = namespace
        self.holder = ""  # who else holds it, as last seen
        self.is_refused = False  # the API server answers, and says no
        self._cluster = cluster
        self._identity = identity
        self._clock = clock
        self._epoch: int | None = None
        self._until_s = float("-inf")
        self._trouble = ""  # that was last told
        self._seen = ("", clock())  # version of the lease, and since when it is known
        self._body: Mapping[str, Any] | None = None

    @property
    def epoch(self) -> int | None:
        """How often the lease was taken when this process took it; None while it is not held."""
        return self._epoch if self._clock() < self._until_s else None

    async def keep(self) -> None:
        """Take the lease, or renew it, if that is possible now. An API server that is away is no error."""
        asked_s = self._clock()
        trouble = self._trouble
        self._trouble, self.is_refused = "", False
        try:
            await self._keep(asked_s)
        except Conflict:
            pass  # somebody was faster; the next look tells who
        except ClusterError as error:
            self._trouble, self.is_refused = str(error), bool(error.status)
            if self._trouble != trouble:
                logger.warning("cannot keep the lease %s/%s: %s", self.namespace, MANAGER, error)

    async def release(self) -> None:
        """Give it up, so that a successor need not wait for its end."""
        if self.epoch is None or self._body is None:
            return
        self._until_s = float("-inf")
        try:
            await self._cluster.replace_lease(_lease(self._body, {**self._body["spec"], "holderIdentity": ""}))
        except ClusterError as error:
            logger.info("the lease %s/%s ends by itself: %s", self.namespace, MANAGER, error)

    async def _keep(self, asked_s: float) -> None:
        try:
            found = await self._cluster.lease(self.namespace, MANAGER)
        except NotFound:
            body = {"metadata": {"name": MANAGER, "namespace": self.namespace}}
            self._hold(await self._cluster.create_lease(_lease(body, self._spec(1))), asked_s)
            return
        spec, version = found.get("spec") or {}, found["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        holder, epoch = spec.get("holderIdentity") or "", int(spec.get("leaseTransitions") or 0)
        if holder == self._identity and epoch == self._epoch:
            wish = {**self._spec(epoch), "acquireTime": spec.get("acquireTime")}
        elif holder in ("", self._identity) or self._is_over(spec):
            wish = self._spec(epoch + 1)
        else:
            if holder != self.holder:
                logger.info("%s looks after %s; standing by", holder, self.namespace)
            self.holder, self._epoch = holder, None
            return
        self._hold(await self._cluster.replace_lease(_lease(found, wish)), asked_s)

    def _is_over(self, spec: Mapping[str, Any]) -> bool:
        lasts_s = float(spec.get("leaseDurationSeconds") or DURATION_S)
        return self._clock() - self._seen[1] > lasts_s

    def _hold(self, body: Mapping[str, Any], asked_s: float) -> None:
        epoch = int(body["spec"]["leaseTransitions"])
        if epoch != self._epoch:
            logger.info("leading in %s, epoch %d", self.namespace, epoch)
        self._body, self._epoch, self.holder = body, epoch, ""
        self._seen = (body["metadata"]["resourceVersion"], self._clock())
        self._until_s = asked_s + HELD_S

    def _spec(self, epoch: int) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(DURATION_S),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }


class Leadership:
    """The leases of all that an operator looks after: of each namespace, or one for the whole cluster."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str], cluster_namespace: str, identity: str) -> None:
        places: Mapping[str | None, str] = {one: one for one in namespaces} or {None: cluster_namespace}
        self._leases = {covers: Lease(cluster, place, identity) for covers, place in places.items()}

    def epoch(self, namespace: str) -> int | None:
        """The epoch in which this process may write in a namespace; None when it may not."""
        lease = self._leases.get(namespace) or self._leases.get(None)
        return lease.epoch if lease else None

    def holds(self, namespace: str) -> bool:
        """Whether this process may write in a namespace."""
        return self.epoch(namespace) is not None

    def is_anothers(self, namespace: str) -> bool:
        """Whether another operator is known to look after a namespace."""
        lease = self._leases.get(namespace) or self._leases.get(None)
        return lease is not None and bool(lease.holder)

    @property
    def leads(self) -> bool:
        """Whether it may write anywhere."""
        return any(lease.epoch is not None for lease in self._leases.values())

    @property
    def stands_by(self) -> bool:
        """Whether others are known to look after everything."""
        return all(lease.holder for lease in self._leases.values())

    @property
    def is_refused(self) -> bool:
        """Whether a right or a namespace is missing, so that nothing will ever be written."""
        return any(lease.is_refused for lease in self._leases.values())

    async def take(self) -> bool:
        """Take or renew all leases, as far as that is possible now; whether all of them are held."""
        await asyncio.gather(*(lease.keep() for lease in self._leases.values()))
        return all(lease.epoch is not None for lease in self._leases.values())

    async def run(self) -> None:
        """Keep the leases until cancelled."""
        while True:
            await self.take()
            await asyncio.sleep(RENEW_EVERY_S if self.leads else LOOK_EVERY_S)

    async def release(self) -> None:
        """Give all leases up."""
        await asyncio.gather(*(lease.release() for lease in self._leases.values()))


def _lease(body: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": body["metadata"], "spec": dict(spec)}
