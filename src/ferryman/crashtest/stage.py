"""Stage: what there is to kill in a local crash test, and what every kill has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ferryman.crashtest.actor import Actor
from ferryman.crashtest.links import Links
from ferryman.crashtest.memory_cage import MemoryCage
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.poster import Poster
from ferryman.crashtest.redis_own import Redis
from ferryman.crashtest.strike import Strike

#: What is to outlast the worker timeout lasts this much longer.
BEYOND_TIMEOUT_MS: Final = (3_000, 8_000)


@dataclass(frozen=True, slots=True)
class Stage:
    """`api` and `poster` are None when nothing is sent over HTTP; `cage` when no memory cgroup can be made."""

    workers: Sequence[Actor]
    schedulers: Sequence[Actor]
    api: Actor | None
    redis: Redis
    links: Links
    poster: Poster | None
    cage: MemoryCage | None
    worker_timeout_ms: int

    def scheduler(self, order: Order) -> Actor:
        """The one that this order hits."""
        return self.schedulers[order.number % len(self.schedulers)]


class Kill(Protocol):
    """One kind."""

    name: str

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """What the plan must know of it."""

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """Does it; returns when it is over and what it did is known."""
