"""Connections whose commands are encoded by hiredis, in C, and which fail as connections do.

redis-py does so for its blocking client only; its asyncio client encodes every argument of every command in Python,
which was the largest single cost of a worker on small tasks and of enqueue_many. And on uvloop a connection that was
reset just before a write fails with a RuntimeError, which nobody would take for a connection's end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError

# A thousand coroutines that enqueue at once share these and wait their turn, instead of failing for want of one.
_CONNECTIONS_AT_MOST = 64
_TURN_WITHIN_S = 10.0


def pool_from_url(url: str, **options: Any) -> ConnectionPool:
    """A pool for `url`; opens nothing yet. Raises ValueError when it is no redis://, rediss:// or unix:// URL.

    Who finds all connections taken waits for one, and gets a ConnectionError only when none comes free in time.
    """
    pool = BlockingConnectionPool.from_url(url, max_connections=_CONNECTIONS_AT_MOST, timeout=_TURN_WITHIN_S, **options)
    kind = pool.connection_class
    pool.connection_class = type(f"Packed{kind.__name__}", (_Packed, kind), {})
    return pool


class _Packed(AbstractConnection):
    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            raise ConnectionError(f"the connection was closed: {error}") from error

    def pack_command(self, *words: Any) -> list[bytes]:
        return [_packed(words)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        return [b"".join(_packed(tuple(words)) for words in commands)]


def _packed(words: tuple[Any, ...]) -> bytes:
    if isinstance(words[0], str) and " " in words[0]:
        words = (*words[0].split(), *words[1:])  # redis-py's own methods name "SCRIPT FLUSH" as one word
    packed: bytes = hiredis.pack_command(words)
    return packed
