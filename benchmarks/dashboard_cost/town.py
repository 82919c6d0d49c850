"""The town: how many queues there are, in which namespaces, and how many workers each has. Always the same one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Namespaces share the queues evenly; each has one scheduler, as one Redis does.
QUEUES_IN_A_NAMESPACE: Final = 20
#: Names of tasks that a worker knows.
TASKS: Final = ("send", "render", "sync")


@dataclass(frozen=True, slots=True)
class Place:
    """One queue and how many workers it has."""

    namespace: str
    queue: str
    workers: int


@dataclass(frozen=True, slots=True)
class Town:
    """All queues, the busiest first."""

    places: tuple[Place, ...]

    @classmethod
    def of(cls, queues: int) -> Town:
        """2 in 100 queues are large (20 workers), 18 are busy (4), 40 have one worker and 40 sleep at zero."""
        return cls(tuple(_places(queues)))

    @property
    def busiest(self) -> Place:
        """The queue that costs most on a page of its own."""
        return self.places[0]

    @property
    def namespaces(self) -> list[str]:
        """Each once."""
        return sorted({place.namespace for place in self.places})

    @property
    def workers(self) -> int:
        """Of all queues."""
        return sum(place.workers for place in self.places)


def _places(queues: int) -> Iterator[Place]:
    namespaces = max(queues // QUEUES_IN_A_NAMESPACE, 1)
    for number in range(queues):
        percent = number * 100 // queues
        workers = 20 if percent < 2 else 4 if percent < 20 else 1 if percent < 60 else 0
        yield Place(f"team-{number % namespaces:02}", f"queue-{number:03}", workers)
