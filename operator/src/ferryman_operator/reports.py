"""Reports: what acts goes before what tells. A pass waits a little for its reports, and then the next one begins.

A hundred queues that are scaled at once are some hundreds of writes that only tell people of it; a burst on another
queue must not wait for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ferryman_operator.reporter import Reporter
from ferryman_operator.tracked import Tracked

logger = logging.getLogger(__name__)

#: How long a pass waits for its reports.
PATIENCE_S: Final = 0.5


class Reports:
    """The reports under way; a queue whose last one has not ended is left out until it has."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def send(self, queues: Sequence[Tracked]) -> None:
        """Report on all queues that have something to say."""
        started = []
        for tracked in queues:
            if tracked.uid not in self._under_way and (report := self._reporter.report(tracked)):
                task = asyncio.create_task(report)
                self._under_way[tracked.uid] = task
                task.add_done_callback(lambda task, uid=tracked.uid: self._ended(uid, task))  # type: ignore[misc]
                started.append(task)
        if started:
            await asyncio.wait(started, timeout=PATIENCE_S)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        del self._under_way[uid]
        if not task.cancelled() and (error := task.exception()):
            logger.error("a report failed", exc_info=error)
