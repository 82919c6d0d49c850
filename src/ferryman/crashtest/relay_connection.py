"""RelayConnection: one client's connection through a Relay, the connection to the server behind it, and their faults.

What TCP allows to happen, happens here on purpose: bytes that are held and arrive when their sender has long given
up, replies that never arrive although the server did what was asked, pieces that cut a reply in two.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

#: Host and port of the server behind a relay.
Address = tuple[str, int]

#: A connection younger than this loses no reply: it would never get beyond its greeting, and nothing else be proved.
_GREETED_AFTER_S: Final = 0.05
#: A server that was sent the last words of a client that is gone has this long to act on them.
_LAST_WORDS_S: Final = 1.0


@dataclass(eq=False, slots=True)
class Weather:
    """What all connections of a relay suffer now. `latency_s` and `piece` (bytes) apply each way."""

    target: Address | None = None
    latency_s: float = 0.0
    piece: int = 0
    loses_replies: bool = False
    freezes_newcomers: bool = False


class RelayConnection(asyncio.Protocol):
    """The client's side; `_Behind` is the server's. Does not slow a fast sender down: there is none here."""

    def __init__(
        self, weather: Weather, gone: Callable[[RelayConnection], None], reply_lost: Callable[[], None]
    ) -> None:
        self._weather = weather
        self._gone = gone
        self._reply_lost = reply_lost
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self._opening: asyncio.Task[None] | None = None
        self._front: asyncio.Transport | None = None
        self._back: asyncio.Transport | None = None
        self._up = _Way(weather, self._loop)
        self._down = _Way(weather, self._loop)
        self._closing: asyncio.TimerHandle | None = None
        self.frozen = weather.freezes_newcomers
        if self.frozen:
            self._up.hold()
            self._down.hold()

    # What the client does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has come: the server is asked too, unless nothing passes now."""
        self._front = cast(asyncio.Transport, transport)
        self._down.to = self._front
        if self._weather.target is None:
            self.reset()
        elif not self.frozen:
            self._opening = self._loop.create_task(self._open())

    def data_received(self, data: bytes) -> None:
        """It says something."""
        self._up.send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone. What it said before is still on its way."""
        self._front = self._down.to = None
        if self._up.waits and not self.frozen:
            self._closing = self._loop.call_later(_LAST_WORDS_S, self._end)
        elif not self.frozen:
            self._end()

    # What the server does.

    def replied(self, data: bytes) -> None:
        """It answers."""
        if self._weather.loses_replies and self._loop.time() - self._opened_s > _GREETED_AFTER_S:
            self._reply_lost()
            self.reset()
        else:
            self._down.send(data)

    def left(self) -> None:
        """It has gone, and with it what it was not told yet."""
        self._back = self._up.to = None
        if not self.frozen:
            self.reset()

    # What is done to it.

    def reset(self) -> None:
        """The client sees a reset. What it had said has reached the server."""
        if self._front is not None:
            reset = struct.pack("ii", 1, 0)  # linger for 0 s: the kernel sends RST instead of an orderly end
            self._front.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            self._front.abort()
        self._end()

    def freeze(self) -> None:
        """From now on nothing passes, in either direction, and nobody is told."""
        self.frozen = True
        self._up.hold()
        self._down.hold()

    async def thaw(self) -> None:
        """What was held arrives, late; a client that is still there goes on as after any hiccup of a network."""
        if not self.frozen:
            return
        self.frozen = False
        if self._back is None and self._opening is None and self._weather.target is not None:
            await self._open()
        self._up.release()
        self._down.release()
        if self._front is None:
            self._closing = self._loop.call_later(_LAST_WORDS_S, self._end)
        elif self._back is None:
            self.reset()

    def close(self) -> None:
        """For good."""
        if self._closing is not None:
            self._closing.cancel()
        self.reset()

    async def _open(self) -> None:
        assert self._weather.target is not None
        try:
            await self._loop.create_connection(lambda: _Behind(self), *self._weather.target)
        except OSError:
            self.reset()

    def opened(self, transport: asyncio.Transport) -> None:
        """The server has answered."""
        self._back = self._up.to = transport
        if self._front is None and not self.frozen and not self._up.waits:
            self._end()

    def _end(self) -> None:
        if self._back is not None:
            self._back.close()
        elif self._opening is not None:
            self._opening.cancel()
        self._gone(self)


class _Behind(asyncio.Protocol):
    def __init__(self, connection: RelayConnection) -> None:
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.opened(cast(asyncio.Transport, transport))

    def data_received(self, data: bytes) -> None:
        self._connection.replied(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.left()


class _Way:
    """One direction. Keeps the order, whatever the weather."""

    def __init__(self, weather: Weather, loop: asyncio.AbstractEventLoop) -> None:
        self._weather = weather
        self._loop = loop
        self._to: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._holds = False
        self._travelling = 0
        self._due_s = 0.0

    @property
    def to(self) -> asyncio.Transport | None:
        """Where it leads; None = nowhere yet, or not any more."""
        return self._to

    @to.setter
    def to(self, transport: asyncio.Transport | None) -> None:
        self._to = transport
        if transport is not None and not self._holds:
            self.release()

    @property
    def waits(self) -> bool:
        """Something has not arrived."""
        return bool(self._waiting or self._travelling)

    def hold(self) -> None:
        self._holds = True

    def release(self) -> None:
        self._holds = False
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._arrive(data)

    def send(self, data: bytes) -> None:
        if not self._weather.latency_s and not self._travelling:
            self._arrive(data)
            return
        piece = self._weather.piece or len(data)
        for start in range(0, len(data), piece):
            # Pieces follow each other closely; each of them has the whole way before it.
            self._due_s = max(self._due_s + 0.001, self._loop.time() + self._weather.latency_s)
            self._travelling += 1
            self._loop.call_at(self._due_s, self._travelled, data[start : start + piece])

    def _travelled(self, data: bytes) -> None:
        self._travelling -= 1
        self._arrive(data)

    def _arrive(self, data: bytes) -> None:
        if self._holds or self._to is None:
            self._waiting.append(data)
        elif not self._to.is_closing():
            self._to.write(data)
