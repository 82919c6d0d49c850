"""Versions: who else can run what this worker can't. During a rolling update old and new workers share a queue.

Manifests decide: a task goes to those workers whose manifest knows its name, with a schema that its arguments fit.
Redis is asked only for a task that can't be run here, and once a second for each name at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.manifest import KnownVersion

logger = logging.getLogger(__name__)

#: How long an answer counts; names that are remembered at once.
_FRESH_S: Final = 1.0
_NAMES_AT_MOST: Final = 1_000
_AGAIN_S: Final = 0.5


class Able(Enum):
    """Whether another version of the app can run a task."""

    LIVING = "a living worker can"
    OF_LATE = "a worker that was there within the last hour could"
    NONE = "nobody can"


def able(known: Sequence[KnownVersion], own: Mapping[str, Any] | None, args: bytes) -> Able:
    """Who can run a task with these arguments. `own`: the schema that they do not fit; None = its name is unknown."""
    others = [version for version in known if version.task.schema != own]
    if own is not None:
        try:
            arguments = msgspec.json.decode(args)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Able.NONE
        from ferryman.json_schema import first_violation  # most workers never come here, and start without it

        others = [version for version in others if first_violation(version.task.schema, arguments) is None]
    if any(version.living for version in others):
        return Able.LIVING
    return Able.OF_LATE if others else Able.NONE


class Versions:
    """What the versions of a queue's app say of tasks that can't be run here."""

    def __init__(self, link: Link, queue: str) -> None:
        self._link = link
        self._queue = queue
        self._known: dict[str, tuple[float, list[KnownVersion]]] = {}

    async def able(self, name: str, own: Mapping[str, Any] | None, args: bytes) -> Able:
        """Who can run such a task, see `able`. While Redis is away this waits; nothing is decided."""
        return able(await self._of(name), own, args)

    async def _of(self, name: str) -> list[KnownVersion]:
        from ferryman.inspector import Inspector  # as above

        inspector = Inspector(self._queue)
        asked_s, known = self._known.get(name, (float("-inf"), []))
        while time.monotonic() - asked_s > _FRESH_S:
            try:
                known = await self._link.run(inspector.versions(name))
            except BrokerError as error:
                logger.warning("who can run %s in queue %s can't be asked: %s", name, self._queue, error)
                await asyncio.sleep(_AGAIN_S)
                continue
            asked_s = time.monotonic()
            if len(self._known) >= _NAMES_AT_MOST:
                self._known.clear()
            self._known[name] = asked_s, known
        return known
