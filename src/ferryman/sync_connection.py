"""Blocking connections: the pool of a SyncLink, for threads, scripts, and the heartbeat's child process.

As in `connection`, what failed in the middle of an exchange is closed. After a fork the child opens connections of
its own: two processes on one would read each other's replies.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ferryman.redis_address import RedisAddress
from ferryman.wire import Replies, Words, check_greeting, packed, understood

if TYPE_CHECKING:
    import ssl

_READ_BYTES: Final = 65_536


class SyncConnection:
    """One connection, for one exchange at a time."""

    def __init__(
        self, address: RedisAddress, tls: ssl.SSLContext | None, connect_timeout_s: float, reply_timeout_s: float
    ) -> None:
        self.pid = os.getpid()
        self._replies = Replies()
        self._reply_timeout_s = reply_timeout_s
        self._socket = _connected(address, tls, connect_timeout_s)
        _limit(self._socket, reply_timeout_s, kernel=tls is None)
        self._watch = select.poll()
        self._watch.register(self._socket, select.POLLIN)

    def exchange(self, commands: Sequence[Words], meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Send commands in one round trip and return their replies. Raises OSError, and is closed then.

        `meanwhile` is done once they are sent, before anybody waits.
        """
        replies: list[Any] = []
        wanted = len(commands)
        try:
            self._socket.sendall(packed(commands))
            if meanwhile is not None:
                meanwhile()
            while (got := len(replies)) < wanted:
                if not (data := self._socket.recv(_READ_BYTES)):
                    raise ConnectionError("the connection was closed by Redis")
                self._replies.take(data, replies)
            if got > wanted:
                raise ConnectionError(f"Redis said something unasked: {replies[-1]}")
        except (TimeoutError, BlockingIOError) as error:
            self.close()
            raise TimeoutError(f"no reply within {self._reply_timeout_s:g} s") from error
        except BaseException:
            self.close()
            raise
        return replies

    @property
    def usable(self) -> bool:
        """Whether nothing came while it was idle: Redis speaks then only to say that it has closed it."""
        return self.pid == os.getpid() and not self._watch.poll(0)

    def close(self) -> None:
        """Close this process's end."""
        self._socket.close()


class SyncPool:
    """The connections of one link, one for each thread that has an exchange under way."""

    def __init__(
        self, address: RedisAddress, *, client_name: str | None, connect_timeout_s: float, reply_timeout_s: float
    ) -> None:
        self.address = address
        self._greeting = address.greeting(client_name)
        self._connect_timeout_s = connect_timeout_s
        self._reply_timeout_s = reply_timeout_s
        # No lock, which a fork might copy while it is held: a deque needs none.
        self._idle: deque[SyncConnection] = deque()

    def exchange(self, commands: Sequence[Words], meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Send commands in one round trip; a Refusal stands in its command's place. Raises OSError."""
        connection = self._take() or self._open()
        replies = connection.exchange(commands, meanwhile)
        self._idle.append(connection)
        return understood(commands, replies)

    def close(self) -> None:
        """Close what is idle; the pool may be used again."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> SyncConnection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.usable:
                return connection
            connection.close()
        return None

    @cached_property
    def _tls(self) -> ssl.SSLContext | None:
        """One for all: to read the certificates takes longer than to connect. What can't be read is read again."""
        return self.address.ssl_context()

    def _open(self) -> SyncConnection:
        connection = SyncConnection(self.address, self._tls, self._connect_timeout_s, self._reply_timeout_s)
        if self._greeting:
            try:
                check_greeting(self._greeting, connection.exchange(self._greeting))
            except BaseException:
                connection.close()
                raise
        return connection


def _limit(line: socket.socket, seconds: float, *, kernel: bool) -> None:
    """How long `line` may wait at a time. The kernel sees to it: Python would ask before each read and write.

    Not of TLS, where one read of ours may be several of the socket's.
    """
    if not kernel:
        line.settimeout(seconds)
        return
    whole, part = divmod(seconds, 1)
    for side in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        line.setsockopt(socket.SOL_SOCKET, side, struct.pack("ll", int(whole), int(part * 1e6)))
    line.settimeout(None)


def _connected(address: RedisAddress, tls: ssl.SSLContext | None, timeout_s: float) -> socket.socket:
    try:
        if address.path:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.settimeout(timeout_s)
            line.connect(address.path)
            return line
        # As bytes, a name that needs no IDNA: for text, Python loads that codec with its tables first.
        host: Any = address.host.encode() if address.host.isascii() else address.host
        line = socket.create_connection((host, address.port), timeout_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except TimeoutError as error:
        raise TimeoutError(f"no connection within {timeout_s:g} s") from error
    if tls is None:
        return line
    try:
        return tls.wrap_socket(line, server_hostname=address.host)
    except OSError:
        line.close()
        raise
