"""Tenure: one registration of this process, from joining the queue to the end of its ownership.

Joining publishes the manifest and makes the promise that the beat child keeps. Who takes the slot of a dead
predecessor recovers what that one held before it registers. Ownership ends in one of two ways: a beat is
answered "not registered" (this worker was declared dead), or no beat got through for as long as was promised;
in both the code must stop, and the process may join again under a new id. A process that must end because code
can't be stopped resigns first, so that its tasks come back soon and no crash is charged.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ferryman.broker import Broker
from ferryman.cause import RESIGNED
from ferryman.errors import BrokerError, BrokerRefused, BrokerUnavailable
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.plan import run_plan_async
from ferryman.policy import Policy
from ferryman.version import __version__
from ferryman.workers import WorkerInfo, WorkerRegistry
from ferryman_worker.board import Board, mono_ms
from ferryman_worker.identity import Identity
from ferryman_worker.settings import BEATS_PER_TIMEOUT
from ferryman_worker.takeover import Tally, take_over, tell

logger = logging.getLogger(__name__)

_RETRY_S = 0.5


class Registrar:
    """Joins and leaves the queue for this process."""

    def __init__(
        self,
        link: Link,
        registry: WorkerRegistry,
        board: Board,
        identity: Identity,
        manifest: Manifest,
        *,
        concurrency: int,
        timeout_ms: int | None,
        end_beats: Callable[[], None],
        recovered: Tally,
    ) -> None:
        self._link = link
        self._registry = registry
        self._board = board
        self._identity = identity
        self._manifest = manifest
        self._concurrency = concurrency
        self._fixed_timeout_ms = timeout_ms
        self._timeout_ms = timeout_ms or Policy().worker_timeout_ms
        self._end_beats = end_beats
        self._recovered = recovered
        #: As Redis was told when this worker registered.
        self._beat_ms = 0

    async def join(self) -> tuple[str, Policy]:
        """Recovers the predecessor of the slot and registers under a new id; returns (worker id, policy).

        Goes on trying while Redis is away. Raises ProtocolMismatch, which no waiting cures.
        """
        worker = self._identity.new_worker_id()
        told = False
        while True:
            try:
                if (policy := await self._join(worker)) is not None:
                    return worker, policy
            except BrokerUnavailable as error:
                if not told:
                    logger.warning("can't register yet: %s", error)
                    told = True
            await asyncio.sleep(_RETRY_S)

    async def leave(self, worker: str) -> bool:
        """Gives the id up; False when Redis is away or still counts tasks as held by it: then they are recovered
        when the promise runs out."""
        self._board.announce("", 0, 0)
        try:
            return await self._link.run(self._registry.unregister(worker))
        except BrokerError as error:
            logger.warning("left without a word, Redis does not answer: %s", error)
            return False

    @property
    def respite_s(self) -> float:
        """For how long a worker is not declared dead after its promise: two beats, and three looks 0.4 s apart."""
        return max(2 * self._beat_ms, 800) / 1_000

    async def resign(self, worker: str, why: str) -> None:
        """Last words before this process ends with tasks whose code can't be stopped: they may go back in two beats,
        and nobody is charged. Then it must end at once: the wait for Redis' answer is as long as that is safe.
        """
        self._end_beats()  # the next beat would say that the hint was wrong
        safe_ms = min(2 * self._beat_ms, self._board.promised_ms - mono_ms())
        try:
            async with asyncio.timeout(max(safe_ms, 0) / 1_000):
                await self._link.run(self._registry.hint_gone(worker, f"{RESIGNED}{why}", exempt=True))
        except (BrokerError, TimeoutError) as error:
            logger.warning("left without a word: %s; its tasks are recovered by its deadline", error or "no answer")

    def follow(self, policy: Policy) -> None:
        """The policy has changed; the next beats promise by the new timeout."""
        if self._fixed_timeout_ms is None and policy.worker_timeout_ms != self._timeout_ms:
            self._timeout_ms = policy.worker_timeout_ms
            self._board.set_timeout(self._timeout_ms)

    async def _join(self, worker: str) -> Policy | None:
        """None when somebody has registered in the slot since: a call of a process that is gone, and it came late."""
        slot = self._identity.slot
        if slot and not await self._take_over(slot):
            slot = ""  # its data is damaged, and must not keep this worker from joining
        sent_ms = mono_ms()
        info = WorkerInfo(
            id=worker,
            slot=slot,
            pod=self._identity.pod,
            timeout_ms=self._timeout_ms,
            beat_ms=self._timeout_ms // BEATS_PER_TIMEOUT,
            concurrency=self._concurrency,
            app=self._manifest.app,
            version=__version__,
        )
        registered = await self._link.run(self._registry.register(info, self._manifest))
        if registered.holder is not None:
            return None
        if self._manifest.schedules:  # a queue that nobody has enqueued into yet is known to no scheduler
            await self._link.run(Broker(self._registry.queue).announce())
        self._board.announce(worker, self._timeout_ms, sent_ms + self._timeout_ms)
        self._beat_ms = info.beat_ms
        policy = Policy.from_config(registered.config)
        self.follow(policy)
        return policy

    async def _take_over(self, slot: str) -> bool:
        """Its container is ours now, so it is dead for certain; what it held comes before anything new."""
        try:
            taken = await run_plan_async(self._link, take_over(self._registry.queue, slot))
        except BrokerRefused as error:
            logger.error("what the predecessor of %s held can't be recovered: %s", slot, error)
            return False
        if taken is not None:
            tell(taken, self._recovered)
        return True
