"""Roster: which queues the scheduler looks after: those it was given, or all that Redis knows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ferryman.errors import BrokerError, BrokerUnavailable, InvalidTask
from ferryman.inspector import queues_known
from ferryman.task import check_queue_name
from ferryman_scheduler.connection import Connection
from ferryman_scheduler.rounds import jittered, pause

logger = logging.getLogger(__name__)

#: How long a new queue may be unknown here.
REFRESH_EVERY_S: Final = 1.0


class Roster:
    """The names of queues. With none given, they are read from Redis again and again."""

    def __init__(self, connection: Connection, given: Sequence[str] = ()) -> None:
        self._connection = connection
        self._given = bool(given)
        self._queues: Sequence[str] = tuple(dict.fromkeys(given))

    def __call__(self) -> Sequence[str]:
        """The queues as known now."""
        return self._queues

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the names fresh until `stop` is set."""
        while not self._given and not stop.is_set():
            try:
                await self.refresh()
            except BrokerUnavailable as error:
                await self._connection.lost(error)
            except BrokerError as error:
                logger.error("the names of the queues cannot be read: %s", error)
            await pause(stop, jittered(REFRESH_EVERY_S))

    async def refresh(self) -> None:
        """Read the names once. Raises BrokerError; then the old ones stay."""
        known = await self._connection.link.run(queues_known())
        self._queues = [name for name in known if _is_name(name)]


def _is_name(name: str) -> bool:
    """What somebody wrote into the set by hand must not stop the others."""
    try:
        check_queue_name(name)
    except InvalidTask:
        return False
    return True
