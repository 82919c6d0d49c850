"""Traffic: what a producer has going on over one link."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ferryman.new_task import Enqueued
from ferryman.sending import WorkItem

if TYPE_CHECKING:
    from ferryman.attendance import Attendance

#: How often a process repeats that its queue exists (seconds), in case someone flushed that.
ANNOUNCE_EVERY_S: Final = 600.0

#: A task on its way, and who waits for its reply.
Waiting = tuple[WorkItem, asyncio.Future[Enqueued]]


@dataclass(slots=True)
class Traffic:
    """Of one producer over one link."""

    announce_at_s: float = -math.inf  # when the queue has to be announced there next, by the monotonic clock
    under_way: int = 0  # sends without an answer yet
    gathered: list[Waiting] = field(default_factory=list)  # to be sent in the next tick of the loop
    attendance: Attendance | None = None

    def announced(self) -> None:
        """The queue was announced just now."""
        self.announce_at_s = time.monotonic() + ANNOUNCE_EVERY_S
