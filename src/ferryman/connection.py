"""Connections for asyncio: a pool whose connections are opened when they are needed, and shared by many coroutines.

Of our own, and not redis-py's: importing that costs a worker a third of its start and a fifth of its memory, and its
pipelines cost as much as a small task. What it would do beyond this (resending, clusters, topics) no link may use.

A connection that was given up in the middle of an exchange is closed: a reply that still comes must not be taken for
the next one's. What was sent then may have been applied.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Final, cast

from ferryman.redis_address import RedisAddress
from ferryman.wire import Replies, Words, check_greeting, packed, understood

# A thousand coroutines that enqueue at once share these and wait their turn, instead of failing for want of one.
CONNECTIONS_AT_MOST: Final = 64
_TURN_WITHIN_S: Final = 10.0


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.lost: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._replies = Replies()
        self._got: list[Any] = []
        self._wanted = 0
        self._answered: asyncio.Future[None] | None = None
        self._heard_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def exchange(self, data: bytes, count: int, patience_s: float) -> list[Any]:
        """Send `data` and return so many replies. Raises OSError; `patience_s` may pass without a byte."""
        if self.lost is not None:
            raise self.lost
        assert self._transport is not None
        assert self._answered is None, "one exchange at a time"
        self._got, self._wanted = [], count
        self._answered = answered = self.loop.create_future()
        self._heard_s = self.loop.time()
        if self._timer is None:
            # One for many exchanges: to set and cancel one for each costs as much as a small script.
            self._timer = self.loop.call_later(patience_s, self._look, patience_s)
        try:
            self._transport.write(data)
            await answered
        except RuntimeError as error:
            # uvloop says so of a connection whose reset it has seen and its user has not.
            self.close()
            raise ConnectionError(f"the connection was closed: {error}") from error
        except BaseException:
            self.close()
            raise
        finally:
            self._answered = None
        return self._got

    def close(self) -> None:
        """At once; an exchange under way fails."""
        self._lose(ConnectionError("the connection was closed"))
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if (line := transport.get_extra_info("socket")) is not None and line.family != socket.AF_UNIX:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self.loop.time()
        try:
            self._replies.take(data, self._got)
        except ConnectionError as error:
            self._lose(error)
        if len(self._got) > self._wanted:
            self._lose(ConnectionError(f"Redis said something unasked: {self._got[-1]}"))
        if self.lost is not None:
            self.close()
        elif len(self._got) == self._wanted and self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc if isinstance(exc, OSError) else ConnectionError(f"the connection was closed{_by(exc)}"))

    def _look(self, patience_s: float) -> None:
        """Whether the reply is late: large ones come in parts. Ends when nobody waits for one."""
        self._timer = None
        answered = self._answered
        if answered is None or answered.done():
            return
        if (silent_s := self.loop.time() - self._heard_s) < patience_s:
            self._timer = self.loop.call_later(patience_s - silent_s + 0.001, self._look, patience_s)
            return
        answered.set_exception(TimeoutError(f"no reply within {patience_s:g} s"))

    def _lose(self, why: Exception) -> None:
        self.lost = self.lost or why
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(self.lost)


class Pool:
    """The connections of one link. For one event loop at a time."""

    def __init__(
        self, address: RedisAddress, *, client_name: str | None, connect_timeout_s: float, reply_timeout_s: float
    ) -> None:
        self.address = address
        self._greeting = address.greeting(client_name)
        self._tls = address.ssl_context()
        self._connect_timeout_s = connect_timeout_s
        self._reply_timeout_s = reply_timeout_s
        self._idle: list[Connection] = []
        self._turns = asyncio.Semaphore(CONNECTIONS_AT_MOST)

    async def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Send commands in one round trip; a Refusal stands in its command's place. Raises OSError."""
        if self._turns.locked():
            await self._wait_for_a_turn()
        else:
            await self._turns.acquire()  # free, so it does not wait
        try:
            connection = self._take() or await self._open()
            replies = await connection.exchange(packed(commands), len(commands), self._reply_timeout_s)
            if connection.lost is None:
                self._idle.append(connection)
        finally:
            self._turns.release()
        return understood(commands, replies)

    async def close(self) -> None:
        """Close what is idle; the pool may be used again."""
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # the loop closes the sockets in its next turn

    async def _wait_for_a_turn(self) -> None:
        try:
            async with asyncio.timeout(_TURN_WITHIN_S):
                await self._turns.acquire()
        except TimeoutError as error:
            raise ConnectionError(f"{CONNECTIONS_AT_MOST} connections were busy for {_TURN_WITHIN_S:g} s") from error

    def _take(self) -> Connection | None:
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.lost is None and connection.loop is loop:
                return connection
        return None

    async def _open(self) -> Connection:
        where, loop = self.address, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if where.path:
                    _, connection = await loop.create_unix_connection(Connection, where.path)
                else:
                    _, connection = await loop.create_connection(Connection, where.host, where.port, ssl=self._tls)
        except TimeoutError as error:
            raise TimeoutError(f"no connection within {self._connect_timeout_s:g} s") from error
        if self._greeting:
            try:
                replies = await connection.exchange(packed(self._greeting), len(self._greeting), self._reply_timeout_s)
                check_greeting(self._greeting, replies)
            except BaseException:
                connection.close()
                raise
        return connection


def _by(error: Exception | None) -> str:
    return f": {error}" if error else " by Redis"
