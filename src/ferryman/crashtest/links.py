"""Links: the way of each process of a crash test to Redis, through a relay of its own, so that one can fail alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from ferryman.crashtest.relay import Relay

#: The place of who enqueues.
PRODUCER: Final = "producer"
_HERE: Final = "127.0.0.1"


def can_be_relayed(url: str) -> bool:
    """Whether a proxy may stand before this Redis: not before a socket file, nor where TLS checks the host's name."""
    return urlsplit(url).scheme == "redis"


class Links:
    """One relay per place. A Redis that no proxy may stand before is reached directly, and no link fails."""

    def __init__(self, url: str, places: Iterable[str]) -> None:
        self._url = url
        self._relays = {place: Relay() for place in places} if can_be_relayed(url) else {}

    async def start(self) -> None:
        """From now on every place has its way."""
        parts = urlsplit(self._url)
        for relay in self._relays.values():
            await relay.start((parts.hostname or _HERE, parts.port or 6379))

    async def stop(self) -> None:
        """Closes all of them."""
        for relay in self._relays.values():
            await relay.stop()

    def url(self, place: str) -> str:
        """Where the process in this place finds Redis."""
        if place not in self._relays:
            return self._url
        parts = urlsplit(self._url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{_HERE}:{self._relays[place].port}"))

    def of(self, place: str) -> Relay:
        """The relay of a place."""
        return self._relays[place]

    def all(self) -> Sequence[Relay]:
        """Everybody's."""
        return list(self._relays.values())
