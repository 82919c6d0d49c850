"""Late fetch: a listener's fetch that Redis ran although its connection was being closed: active -> waiting.

The fetch goes with the hand-over, so it may run when nobody waits for its answer any more. A worker that leaves holds
nothing else by then: whatever Redis still counts as its own, and it does not know, came that way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ferryman.broker import Broker
from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.workers import WorkerRegistry
from ferryman_worker.batch import Held

logger = logging.getLogger(__name__)


async def give_back_late(link: Link, queue: str, worker: str, known: Iterable[Held]) -> int:
    """Returns how many tasks went back: all that `worker` holds but those that are `known`."""
    stays = set(known)
    try:
        late = [held for held in await link.run(WorkerRegistry(queue).holding(worker)) if held not in stays]
        if late:
            await link.run(Broker(queue).requeue(worker, late))
    except BrokerError as error:
        logger.debug("what this worker may still hold is recovered by its deadline: %s", error)
        return 0
    return len(late)
