"""Events: what is worth telling about a TaskQueue or a TaskSchedule, as Kubernetes events on it.

The same words again do not make another event: they count the last one up, as Kubernetes' own controllers do.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from ferryman_operator import names, status
from ferryman_operator.cluster import Cluster, ClusterError, NotFound
from ferryman_operator.story import Told

logger = logging.getLogger(__name__)

#: The same words within this time are the same event, and it is counted up so often at most.
SAME_S: Final = 600.0
COUNT_EVERY_S: Final = 30.0


@dataclass(slots=True)
class _Posted:
    name: str
    count: int
    at_s: float


class Subject(Protocol):
    """Whom an event is about."""

    @property
    def uid(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Events:
    """Posts events, and remembers those of the last minutes."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._posted: dict[tuple[str, Told], _Posted] = {}

    async def post(self, subject: Subject, told: Told) -> None:
        """Tell it. A failure is logged: an event is never worth a retry."""
        now_s = self._clock()
        for key in [key for key, one in self._posted.items() if now_s - one.at_s > SAME_S]:
            del self._posted[key]
        try:
            known = self._posted.get((subject.uid, told))
            if known is None or not await self._count_up(subject, known, now_s):
                await self._create(subject, told, now_s)
        except ClusterError as error:
            logger.warning("could not post an event on %s/%s: %s", subject.namespace, subject.name, error)

    async def _count_up(self, subject: Subject, known: _Posted, now_s: float) -> bool:
        """False when the event has expired meanwhile."""
        known.count += 1
        if now_s - known.at_s < COUNT_EVERY_S:
            return True
        known.at_s = now_s
        change = {"count": known.count, "lastTimestamp": status.timestamp(datetime.now(UTC))}
        try:
            await self._cluster.patch_event(subject.namespace, known.name, change)
        except NotFound:
            return False
        return True

    async def _create(self, subject: Subject, told: Told, now_s: float) -> None:
        logger.info("%s %s/%s: %s", told.reason, subject.namespace, subject.name, told.message)
        now = status.timestamp(datetime.now(UTC))
        name = f"{subject.name}.{secrets.token_hex(8)}"
        event = {
            "metadata": {"name": name, "namespace": subject.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": subject.kind,
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
            },
            "type": told.kind,
            "reason": told.reason,
            "message": told.message[:1024],
            "source": {"component": names.MANAGER},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._posted[subject.uid, told] = _Posted(name, 1, now_s)
        await self._cluster.create_event(event)

    def forget(self, uid: str) -> None:
        """Drop what is remembered of a TaskQueue that is gone."""
        for key in [key for key in self._posted if key[0] == uid]:
            del self._posted[key]
