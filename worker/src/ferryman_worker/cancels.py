"""Cancels: hears that somebody has cancelled tasks of this worker, asks which, and has them stopped.

A beat brings only when that last happened; which they are stands with the tasks, so nothing is lost when an answer is,
and nothing is left over when a worker dies. What can't be stopped, because it runs in a thread, comes to its end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.workers import WorkerRegistry
from ferryman_worker.fetcher import Fetcher
from ferryman_worker.repertoire import Repertoire

logger = logging.getLogger(__name__)

_IDS_PER_CALL: Final = 500


class Cancels:
    """For one worker process."""

    def __init__(self, link: Link, queue: str, repertoire: Repertoire) -> None:
        self._link = link
        self._registry = WorkerRegistry(queue)
        self._repertoire = repertoire
        self._heeded_us = 0
        self._asking: asyncio.Task[None] | None = None

    def heard(self, cancelled_at_us: int, fetcher: Fetcher) -> None:
        """What a beat brought; 0 = nothing has been cancelled."""
        if cancelled_at_us and cancelled_at_us != self._heeded_us and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._heed(cancelled_at_us, fetcher), name="cancels")

    async def _heed(self, cancelled_at_us: int, fetcher: Fetcher) -> None:
        try:
            held = fetcher.held_ids()
            for start in range(0, len(held), _IDS_PER_CALL):
                some = held[start : start + _IDS_PER_CALL]
                if ids := await self._link.run(self._registry.asked_to_stop(fetcher.worker, some)):
                    logger.info("cancelled: %s", ", ".join(ids))
                    fetcher.cancel(frozenset(ids), self._can_stop)
            self._heeded_us = cancelled_at_us
        except BrokerError as error:
            logger.debug("can't ask which tasks were cancelled: %s", error)  # the next beat asks again
        finally:
            self._asking = None

    def _can_stop(self, task: str) -> bool:
        part = self._repertoire.parts.get(task)
        return part is not None and part.handler.run_in != "thread"
