"""Half-open connections on purpose: chosen words are held back on the way to Redis, or the replies to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from ferryman import scripts
from ferryman.crashtest.relay import Relay
from ferryman.crashtest.relay_connection import RelayConnection, Weather
from ferryman_yard.yard import Yard

#: An idle worker says this while it listens.
HAND_OVER = b"\r\nBLMOVE\r\n"  # as a word of the wire: a script's text has it as well


def word_of(script: str) -> bytes:
    """By which a script's call is known on the wire."""
    return scripts.load(script, flags_known=True).sha.encode()


class Trap:
    """Waits for the first connection that says `word`, and holds that word back, or the answer to it."""

    def __init__(self, word: bytes, *, replies_only: bool) -> None:
        self.word = word
        self.replies_only = replies_only
        self._caught: asyncio.Future[_Connection] = asyncio.get_running_loop().create_future()

    @property
    def waits(self) -> bool:
        """Nobody has said it yet."""
        return not self._caught.done()

    def close_on(self, connection: _Connection) -> None:
        """It was said, and goes no further."""
        self._caught.set_result(connection)
        connection.hold(replies_only=self.replies_only)

    async def caught(self) -> None:
        """It was said. Who said it waits for an answer now."""
        await self._caught

    async def given_up(self) -> None:
        """Who said it has closed its end, or has died."""
        connection = await self._caught
        await connection.client_gone.wait()

    async def let_go(self) -> bytes:
        """What was held back arrives; returns what Redis answered to nobody."""
        connection = await self._caught
        await connection.thaw()
        await connection.answered.wait()
        return bytes(connection.answer)


class _Connection(RelayConnection):
    def __init__(self, relay: HalfOpenRelay, weather: Weather) -> None:
        super().__init__(weather, relay.forget, relay.count_lost)
        self._relay = relay
        self._trapped = False
        self.client_gone = asyncio.Event()
        self.answered = asyncio.Event()
        self.answer = bytearray()

    def hold(self, *, replies_only: bool) -> None:
        self._trapped = True
        if replies_only:
            self._down.hold()
        else:
            self.freeze()

    def data_received(self, data: bytes) -> None:
        self._relay.spring(data, self)
        super().data_received(data)

    def replied(self, data: bytes) -> None:
        if self._trapped:
            self.answer += data
            self.answered.set()
        super().replied(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client_gone.set()
        super().connection_lost(exc)


class HalfOpenRelay(Relay):
    """A relay with traps."""

    def __init__(self) -> None:
        super().__init__()
        self._traps: list[Trap] = []

    def hold_back(self, word: bytes) -> Trap:
        """The next connection that says `word` is half open from then on: Redis hears it when the trap lets go."""
        return self._set(Trap(word, replies_only=False))

    def hold_reply(self, word: bytes) -> Trap:
        """Redis does what the next `word` says, and its answer never arrives."""
        return self._set(Trap(word, replies_only=True))

    def spring(self, data: bytes, connection: _Connection) -> None:
        """A connection is about to say something."""
        for trap in self._traps:
            if trap.waits and trap.word in data:
                trap.close_on(connection)
                return

    def forget(self, connection: RelayConnection) -> None:
        """It has ended on both sides."""
        self._gone(connection)

    def count_lost(self) -> None:
        """A reply was swallowed."""
        self._lost()

    def _set(self, trap: Trap) -> Trap:
        self._traps.append(trap)
        return trap

    def _connection(self) -> RelayConnection:
        connection = _Connection(self, self._weather)
        self._connections[connection] = None
        return connection


@asynccontextmanager
async def relayed(yard: Yard) -> AsyncIterator[HalfOpenRelay]:
    """Workers that are started in here reach Redis through a relay."""
    relay, straight = HalfOpenRelay(), yard.redis_url
    await relay.start(("127.0.0.1", urlsplit(straight).port or 0))
    yard.redis_url = f"redis://127.0.0.1:{relay.port}/0"
    try:
        yield relay
    finally:
        yard.redis_url = straight
        await relay.stop()
