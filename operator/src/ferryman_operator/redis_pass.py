"""RedisPass: one pass over all TaskQueues of one Redis: measure, decide, apply, report.

Level-based: each pass compares the world with the wish, so whatever was missed or changed by others heals in the
next one. A pass that dies in the middle has done nothing that a repetition would do differently.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from ferryman.durability import Durability
from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman_operator.backlog import TIMEOUT, Question, Reading, Unmeasured, measure
from ferryman_operator.children import Children
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.reporter import Reporter
from ferryman_operator.reports import Reports
from ferryman_operator.schedules import Schedules
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.steering import Orders, steer
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import World

logger = logging.getLogger(__name__)

#: A claim is renewed this often; its lease is three times as long.
CLAIM_EVERY_S = 5.0

#: A Redis that answered a moment ago and is late now is no news yet: on a busy machine a thousand TaskQueues would
#: each be written twice for one slow pass. One that refuses, or is gone, is told of at once.
LATE_S = 3.0

#: A Redis is asked this often how durable it is, and at once when it is back.
DURABILITY_EVERY_S = 30.0


class RedisPass:
    """The passes; what is remembered between them is in the tracked queues."""

    def __init__(
        self, world: World, children: Children, reporter: Reporter, endpoints: Endpoints, settings: OperatorSettings
    ) -> None:
        self._world = world
        self._children = children
        self._reports = Reports(reporter)
        self._endpoints = endpoints
        self.schedules = Schedules(world, reporter.cluster, reporter.events, settings.redis_timeout_s)
        self._settings = settings
        self._durability: WeakKeyDictionary[Link, tuple[float, Durability]] = WeakKeyDictionary()  # and when asked

    async def run(
        self, link: Link | Unmeasured, queues: Sequence[Tracked], leads: Callable[[], bool] = lambda: True
    ) -> None:
        """One pass. `link` is Unmeasured when it is not known where Redis is.

        `leads` is asked before anything is written: a pass that took so long that another operator may be at work
        ends there.
        """
        usable = [tracked for tracked in queues if tracked.spec]
        for tracked in queues:
            tracked.refusal = None
        if isinstance(link, Unmeasured):
            for tracked in usable:
                tracked.reading, tracked.durability = link, None
        else:
            await self._measure(link, usable)
        ours = [tracked for tracked in usable if tracked.is_ours and self._sees_all_of(tracked)]
        orders = [self._steer(tracked) for tracked in ours]
        if not leads():
            return
        if not isinstance(link, Unmeasured):
            await self._send(link, orders)
        if not leads():
            return
        await self._children.apply(ours, link)
        if not isinstance(link, Unmeasured):
            await self.schedules.publish(link, ours)
        await self._reports.send([tracked for tracked in queues if not _is_only_late(tracked)])

    async def close(self) -> None:
        """Stop what is under way beyond a pass."""
        await self.schedules.close()
        await self._reports.close()

    def _sees_all_of(self, tracked: Tracked) -> bool:
        """Whether the operator may see what is there; what it cannot see it must not replace."""
        if why := self._world.unseen_in(tracked.namespace):
            tracked.refusal = ("Forbidden", why)
        return not why

    async def _measure(self, link: Link, queues: Sequence[Tracked]) -> None:
        now_s = time.monotonic()
        questions = []
        for tracked in queues:
            due = now_s - tracked.claim_asked_s >= CLAIM_EVERY_S or not tracked.claim_granted
            claim = tracked.claim(self._settings.cluster_name) if due else None
            questions.append(Question(_queue(tracked), claim, empty=_was_empty(tracked)))
        asked_s, known = self._durability.pop(link, (float("-inf"), None))
        look = now_s - asked_s >= DURABILITY_EVERY_S
        found = await measure(link, questions, self._settings.redis_timeout_s, with_durability=look)
        durability = found.durability or (known if found.reached else None)
        if durability:
            self._durability[link] = (now_s if look else asked_s, durability)
        for tracked, answer in zip(queues, found.answers, strict=True):
            tracked.reading, tracked.durability = answer, durability
            if isinstance(answer, Reading):
                tracked.measured_s = answer.taken_s
            if isinstance(answer, Reading) and answer.claim:
                tracked.claim_granted, tracked.claim_asked_s = answer.claim.granted, now_s
                tracked.claimed_by = "" if answer.claim.granted else answer.claim.owner or "another"
            elif isinstance(answer, Unmeasured) and answer.credentials_refused and tracked.spec:
                self._endpoints.distrust(tracked.namespace, tracked.spec.redis)

    def _steer(self, tracked: Tracked) -> Orders:
        assert tracked.spec
        return steer(tracked, tracked.spec, self._world, now_s=time.monotonic(), wall_s=time.time())

    async def _send(self, link: Link, orders: Sequence[Orders]) -> None:
        """Send the orders of all queues in one round trip. What fails is decided anew in the next pass."""
        calls = [pair for order in orders for pair in order.calls]
        if not calls:
            return
        try:
            async with asyncio.timeout(self._settings.redis_timeout_s):
                replies = await link.run_all([call for call, _ in calls])
        except (BrokerError, OSError, TimeoutError) as error:
            logger.warning("%d orders to Redis were not carried out: %s", len(calls), error)
            return
        done: Callable[[], None]
        for (call, done), reply in zip(calls, replies, strict=True):
            if isinstance(reply, Exception):
                logger.warning("%s was not carried out: %s", call.script, reply)
            else:
                done()


def _is_only_late(tracked: Tracked) -> bool:
    """Whether its Redis may answer again in the next pass."""
    late = isinstance(tracked.reading, Unmeasured) and tracked.reading.reason == TIMEOUT
    return late and time.monotonic() - tracked.measured_s < LATE_S


def _was_empty(tracked: Tracked) -> bool:
    """Whether nobody worked for it when it was last measured."""
    reading = tracked.reading
    return isinstance(reading, Reading) and not (reading.workers or reading.stats.active)


def _queue(tracked: Tracked) -> str:
    assert tracked.spec
    return tracked.spec.queue
