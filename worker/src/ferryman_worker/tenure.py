"""Tenure: one registration of this process, from joining the queue to the end of its ownership.

Joining publishes the manifest and makes the promise that the beat child keeps. Who takes the slot of a dead
predecessor recovers what that one held before fetching anything. Ownership ends in one of two ways: a beat is
answered "not registered" (this worker was declared dead), or no beat got through for as long as was promised;
in both the code must stop, and the process may join again under a new id.
"""

from __future__ import annotations

import asyncio
import logging

from ferryman.broker import Broker
from ferryman.errors import BrokerError, BrokerUnavailable
from ferryman.link import Link
from ferryman.manifest import Manifest
from ferryman.policy import Policy
from ferryman.version import __version__
from ferryman.workers import WorkerInfo, WorkerRegistry
from ferryman_worker.board import Board, mono_ms
from ferryman_worker.identity import Identity
from ferryman_worker.settings import BEATS_PER_TIMEOUT

logger = logging.getLogger(__name__)

_RETRY_S = 0.5


class Registrar:
    """Joins and leaves the queue for this process."""

    def __init__(
        self,
        link: Link,
        broker: Broker,
        registry: WorkerRegistry,
        board: Board,
        identity: Identity,
        manifest: Manifest,
        *,
        concurrency: int,
        timeout_ms: int | None,
    ) -> None:
        self._link = link
        self._broker = broker
        self._registry = registry
        self._board = board
        self._identity = identity
        self._manifest = manifest
        self._concurrency = concurrency
        self._fixed_timeout_ms = timeout_ms
        self._timeout_ms = timeout_ms or Policy().worker_timeout_ms
        #: Predecessors whose recovery is not finished; a broken connection must not make us forget them.
        self._predecessors: list[str] = []

    async def join(self) -> tuple[str, Policy]:
        """Registers under a new id and recovers the predecessor of the slot; returns (worker id, policy).

        Goes on trying while Redis is away. Raises ProtocolMismatch, which no waiting cures.
        """
        worker = self._identity.new_worker_id()
        told = False
        while True:
            try:
                return worker, await self._join(worker)
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

    def follow(self, policy: Policy) -> None:
        """The policy has changed; the next beats promise by the new timeout."""
        if self._fixed_timeout_ms is None and policy.worker_timeout_ms != self._timeout_ms:
            self._timeout_ms = policy.worker_timeout_ms
            self._board.set_timeout(self._timeout_ms)

    async def _join(self, worker: str) -> Policy:
        sent_ms = mono_ms()
        info = WorkerInfo(
            id=worker,
            slot=self._identity.slot,
            pod=self._identity.pod,
            timeout_ms=self._timeout_ms,
            beat_ms=self._timeout_ms // BEATS_PER_TIMEOUT,
            concurrency=self._concurrency,
            app=self._manifest.app,
            version=__version__,
        )
        registered = await self._link.run(self._registry.register(info, self._manifest))
        self._board.announce(worker, self._timeout_ms, sent_ms + self._timeout_ms)
        policy = Policy.from_config(registered.config)
        self.follow(policy)
        if registered.predecessor:
            self._predecessors.append(registered.predecessor)
        while self._predecessors:
            await self._recover(self._predecessors[-1])
            self._predecessors.pop()
        return policy

    async def _recover(self, predecessor: str) -> None:
        """Its container is ours now, so it is dead for certain; what it held comes before anything new."""
        waiting = dead = 0
        while True:
            recovery = await self._link.run(self._broker.recover(predecessor))
            waiting += recovery.waiting
            dead += recovery.dead
            if not recovery.left:
                break
        logger.info("recovered %s of this container: %d to waiting, %d to dead", predecessor, waiting, dead)
