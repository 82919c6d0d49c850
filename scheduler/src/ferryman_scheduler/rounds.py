"""Rounds: a loop that does one chore for every queue whose turn has come, for ever.

Queues whose turn has come go together, in groups of one round trip each, so that a thousand idle queues cost a
handful of round trips and no queue waits for more than one bounded visit of another. Redis being away is no crash:
the loop tries again with growing pauses, and goes on when it answers.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ferryman.errors import BrokerError, BrokerUnavailable
from ferryman_scheduler.chore import Chore
from ferryman_scheduler.connection import Connection

logger = logging.getLogger(__name__)

#: Queues in one round trip, and round trips under way at once.
QUEUES_AT_ONCE: Final = 50
GROUPS_AT_ONCE: Final = 4

#: The longest a loop sleeps before it looks for queues that are new; the shortest, unless a queue has more to do,
#: so that of many queues those whose turns lie close together share a round trip.
LONGEST_SLEEP_S: Final = 0.25
SHORTEST_SLEEP_S: Final = 0.02

#: Pauses while Redis is away, or refuses to work on a queue whose data is damaged.
FIRST_BACKOFF_S: Final = 0.2
LONGEST_BACKOFF_S: Final = 5.0


class Watch(Protocol):
    """Is told how the rounds go."""

    def passed(self, loop: str, duration_s: float) -> None:
        """A round ended in which Redis answered."""


class Rounds:
    """The rounds of one chore over `queues()`."""

    def __init__(self, chore: Chore, connection: Connection, queues: Callable[[], Sequence[str]], watch: Watch) -> None:
        self.name = chore.name
        self.turned_at = time.monotonic()  # when a round last ended, whether Redis answered or not
        self._chore = chore
        self._connection = connection
        self._queues = queues
        self._watch = watch
        self._turns: dict[str, float] = {}  # queue -> when its next visit is due
        self._refused: dict[str, str] = {}  # queue -> what was logged about it
        self._backoff_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; a round under way ends first."""
        while not stop.is_set():
            try:
                sleep_s = await self.round()
                self.turned_at = time.monotonic()
            except Exception:
                # A mistake of ours must not end promotion for all queues; when it lasts, /livez fails.
                logger.exception("a round of %s failed", self.name)
                sleep_s = LONGEST_BACKOFF_S
            await pause(stop, sleep_s)

    async def round(self) -> float:
        """Visit every queue whose turn has come. Returns how long nothing is to be done, in seconds."""
        started = time.monotonic()
        queues = self._queues()
        due = [queue for queue in queues if self._turns.get(queue, 0.0) <= started]
        more_to_do = False
        if due:
            try:
                more_to_do = await self._visit_all(due)
            except BrokerUnavailable as error:
                self._backoff_s = min(LONGEST_BACKOFF_S, max(FIRST_BACKOFF_S, 2 * self._backoff_s))
                await self._connection.lost(error)
                return jittered(self._backoff_s)
            self._backoff_s = 0.0
            self._connection.answered()
            self._watch.passed(self.name, time.monotonic() - started)
        self._turns = {queue: self._turns[queue] for queue in queues}
        if more_to_do:
            return 0.0
        next_turn = min(self._turns.values(), default=started + LONGEST_SLEEP_S)
        return min(LONGEST_SLEEP_S, max(SHORTEST_SLEEP_S, next_turn - time.monotonic()))

    async def _visit_all(self, queues: Sequence[str]) -> bool:
        """Returns whether a queue has more to do at once."""
        slots = asyncio.Semaphore(GROUPS_AT_ONCE)

        async def visit(group: Sequence[str]) -> bool:
            async with slots:
                outcome = await self._chore.visit(self._connection.link, group)
            now = time.monotonic()
            for queue in group:
                self._tell(queue, outcome.refusals.get(queue))
                self._turns[queue] = now + jittered(outcome.pauses_s.get(queue, LONGEST_BACKOFF_S))
            return 0.0 in outcome.pauses_s.values()

        groups = [queues[i : i + QUEUES_AT_ONCE] for i in range(0, len(queues), QUEUES_AT_ONCE)]
        results = await asyncio.gather(*map(visit, groups), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return any(results)

    def _tell(self, queue: str, refusal: BrokerError | None) -> None:
        if refusal is None:
            self._refused.pop(queue, None)
        elif self._refused.get(queue) != str(refusal):
            self._refused[queue] = str(refusal)
            logger.error("%s was refused: %s", self.name, refusal, extra={"queue": queue})


def jittered(seconds: float) -> float:
    """A little less, by chance, so that many schedulers do not march in step."""
    return seconds * random.uniform(0.85, 1.0)  # noqa: S311  (no secret)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, or less when `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
