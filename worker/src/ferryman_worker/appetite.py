"""Appetite: what this worker wants from its queue now: a number of tasks, to be woken, or nothing.

Nothing while the queue is on hold, the worker is drained or quiet, or a suspect is here: a task that two workers
died with. A suspect runs when nothing else is here, and nothing is fetched until it has ended, so
that if this worker dies too, it is clear of what.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterator

from ferryman.protocol import Delivery, Fetched
from ferryman_worker.acker import Acker, OwnershipGone
from ferryman_worker.batch import Held
from ferryman_worker.listener import Listener
from ferryman_worker.lookahead import GIVE_BACK_S
from ferryman_worker.pool import Pool

#: Tasks per fetch: a script's work is bounded.
FETCH_AT_MOST = 100


class Appetite:
    """What was learned from fetches and beats, and what it means."""

    def __init__(self, pool: Pool, acker: Acker, listener: Listener) -> None:
        self._pool = pool
        self._acker = acker
        self._listener = listener
        #: Whether the last fetch left something: then it pays to ask again, else to listen.
        self._plenty = True
        #: Something runs here, or did at the last look, that may have nothing beside it.
        self._alone = False
        self.suspect: Delivery | None = None
        self._suspect_since = 0.0
        #: The queue is on hold or this worker is drained; beats say when that ends.
        self.resting = False
        #: No more fetching, for good.
        self.quiet = False
        #: Tasks that fetches under way have asked for.
        self.coming = 0

    def wanted(self) -> int:
        """How many tasks to ask for now; 0 = not now."""
        if not (self._plenty or self._listener.handed) or self._listener.listening or not self._may_fetch():
            return 0
        pool = self._pool
        room = pool.room() - self.coming
        # As long as slots have work at hand a fetch can wait until it brings a good batch.
        if room <= 0 or (pool.ahead and room < min(FETCH_AT_MOST, pool.lookahead.target() // 2)):
            return 0
        return min(room, FETCH_AT_MOST)

    def should_listen(self) -> bool:
        """Nothing was left at the last look, and a slot is free for what comes."""
        if self._plenty or self._listener.listening or self._listener.handed:
            return False
        return self._may_fetch() and self._pool.free > self.coming

    def until_more_s(self) -> float | None:
        """How long until more is wanted although nothing happens; None when that can't be told."""
        return self._pool.lookahead.until_more_s() if self._plenty and self._may_fetch() else None

    def accept(self, fetched: Fetched, wanted: int) -> list[Delivery]:
        """Learns from a fetch's answer; returns the tasks that may start now. Raises OwnershipGone."""
        match fetched.reply:
            case "unregistered":
                raise OwnershipGone("a fetch was answered: not registered")
            case "held" | "draining":
                self.resting = self._plenty = True
            case "alone":
                self._alone = True
            case _:
                self._alone = False
                self._plenty = len(fetched.tasks) >= wanted or fetched.waiting > 0
        tasks = fetched.tasks
        if tasks and tasks[-1].suspect:
            self.suspect, self._suspect_since = tasks[-1], time.monotonic()
            tasks = tasks[:-1]
        return tasks

    @property
    def puzzled(self) -> bool:
        """Redis says that something here must be alone, and nothing is here: a fetch's reply was lost."""
        return self._alone and not any(True for _ in self.held())

    def release_suspect(self) -> None:
        """Starts the suspect if nothing else is here, not even an outcome on its way."""
        if self.suspect is None or self.quiet or not (self._pool.empty and self._acker.settled):
            return
        self._pool.put([self.suspect])
        self.suspect = None
        self._alone = True

    def take_stuck(self, first: int, last: int) -> list[Delivery]:
        """Those of the line that won't start soon, by their places; with nothing that starts, the suspect as well."""
        if first == 0 and last == self._pool.ahead:
            return self.take_stale(0.0)
        if first == 0:
            self._pool.lookahead.gave_back()
        return self._pool.take_stuck(first, last)

    def take_stale(self, older_than_s: float = GIVE_BACK_S) -> list[Delivery]:
        """What has waited here for so long without being started, the suspect included; 0 = all of it."""
        stale = self._pool.take_stale(older_than_s)
        if stale:
            self._pool.lookahead.gave_back()
        if self.suspect is not None and time.monotonic() - self._suspect_since >= older_than_s:
            stale.append(self.suspect)
            self.suspect = None
        return stale

    def take_suspect(self, ids: Container[str]) -> list[Delivery]:
        """The suspect that waits here, if it is one of these."""
        if self.suspect is None or self.suspect.id not in ids:
            return []
        suspect, self.suspect = self.suspect, None
        return [suspect]

    def held(self) -> Iterator[Held]:
        """Everything that is this worker's, as far as it knows."""
        for delivery in self._pool.held():
            yield delivery.id, delivery.token
        if self.suspect is not None:
            yield self.suspect.id, self.suspect.token
        yield from self._acker.held()

    def _may_fetch(self) -> bool:
        if self.quiet or self.resting or self.suspect is not None:
            return False
        return not (self._alone and any(True for _ in self.held()))
