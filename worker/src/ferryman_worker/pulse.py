"""Pulse: what the worker does ten times a second, whatever else goes on.

Ticks the board (beats depend on it), watches ownership, passes on what beats bring (hold, drain, a new policy, a
number of held tasks that does not fit), and gives back what was fetched ahead and did not get its turn.
"""

from __future__ import annotations

import asyncio
import logging

from ferryman.errors import BrokerError
from ferryman.link import Link
from ferryman.policy import QueuePolicy
from ferryman_worker.board import Board
from ferryman_worker.cancels import Cancels
from ferryman_worker.fetcher import Fetcher
from ferryman_worker.repertoire import Repertoire
from ferryman_worker.stop import StopRequest
from ferryman_worker.tenure import Registrar
from ferryman_worker.watch import BeatNews, Watch

logger = logging.getLogger(__name__)

PERIOD_S = 0.1


class Pulse:
    """Starts with the process's loop; `watch` names the fetcher of the present tenure."""

    def __init__(
        self,
        board: Board,
        link: Link,
        queue: str,
        repertoire: Repertoire,
        registrar: Registrar,
        stop: StopRequest,
    ) -> None:
        self._board = board
        self._link = link
        self._policy = QueuePolicy(queue)
        self._repertoire = repertoire
        self._registrar = registrar
        self._stop = stop
        self._watch = Watch(board)
        self._cancels = Cancels(link, queue, repertoire)
        self._fetcher: Fetcher | None = None
        self._gone: asyncio.Future[str] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._beat(), name="pulse")

    def watch(self, fetcher: Fetcher | None) -> None:
        """A tenure begins, or None: it has ended."""
        self._fetcher = fetcher
        self._gone = asyncio.get_running_loop().create_future() if fetcher is not None else None

    @property
    def is_gone(self) -> bool:
        """Ownership is gone in the present tenure."""
        return self._gone is not None and self._gone.done()

    async def gone(self) -> str:
        """Waits until ownership is gone; returns why."""
        assert self._gone is not None
        return await asyncio.shield(self._gone)

    def end(self) -> None:
        """No more ticks."""
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            self._board.tick()
            try:
                self._look()
            except Exception:
                logger.exception("the pulse stumbled; it goes on")
            await asyncio.sleep(PERIOD_S)

    def _look(self) -> None:
        fetcher, gone = self._fetcher, self._gone
        if fetcher is None or gone is None:
            return
        if not gone.done() and (why := self._watch.gone()) is not None:
            gone.set_result(why)
        if (news := self._watch.news()) is not None:
            self._pass_on(news, fetcher)
        fetcher.give_back_stale()
        fetcher.tell_progress()

    def _pass_on(self, news: BeatNews, fetcher: Fetcher) -> None:
        self._board.set_ready(not (news.draining or self._stop.requested))
        fetcher.rest(news.resting)
        self._cancels.heard(news.cancelled_at_us, fetcher)
        if self._watch.differs(news.active, fetcher.held):
            fetcher.reconcile = True
            fetcher.wake()
        if news.generation != self._repertoire.policy.generation and self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_policy(), name="policy")

    async def _read_policy(self) -> None:
        try:
            policy = await self._link.run(self._policy.read())
        except BrokerError as error:
            logger.debug("the policy can't be read now: %s", error)  # the next beat asks again
        else:
            logger.info("the queue's policy is now that of generation %d", policy.generation)
            self._repertoire.follow(policy)
            self._registrar.follow(policy)
        finally:
            self._reading = None
