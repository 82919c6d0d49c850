"""Clients of redis-py, and what looks like one, as the pool of a link: for tests, whose fake server has no socket.

Only imported by who has such a client already; the product's own links bring their connections themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ferryman.wire import NotAdmitted, Refusal, Words

#: redis-py takes the code away from the errors that it knows.
_CODES = {NoScriptError: "NOSCRIPT", OutOfMemoryError: "OOM", ReadOnlyError: "READONLY"}


class AsyncClient:
    """An asyncio client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.address = _address(client)

    async def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Send commands in one round trip; a Refusal stands in its command's place. Raises OSError."""
        try:
            if len(commands) == 1:
                return [await self._client.execute_command(*commands[0])]
            pipe = self._client.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            return [_plain(reply) for reply in await pipe.execute(raise_on_error=False)]
        except RedisError as error:
            return _met(error, len(commands))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()


class BlockingClient:
    """A blocking client."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.address = _address(client)

    def exchange(self, commands: Sequence[Words], meanwhile: Callable[[], None] | None = None) -> list[Any]:
        """Send commands in one round trip; a Refusal stands in its command's place. Raises OSError."""
        if meanwhile is not None:
            meanwhile()
        try:
            if len(commands) == 1:
                return [self._client.execute_command(*commands[0])]
            pipe = self._client.pipeline(transaction=False)
            for words in commands:
                pipe.execute_command(*words)
            return [_plain(reply) for reply in pipe.execute(raise_on_error=False)]
        except RedisError as error:
            return _met(error, len(commands))

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _met(error: RedisError, count: int) -> list[Any]:
    met = _plain(error)
    if isinstance(met, OSError):
        raise met from error
    return [met] * count


def _plain(reply: Any) -> Any:
    """An error of redis-py's as our own connections would have it; what is none stays as it is."""
    if isinstance(reply, AuthenticationError):
        return NotAdmitted(str(reply))
    if isinstance(reply, ConnectionError):
        return OSError(str(reply))
    if isinstance(reply, TimeoutError):
        return OSError(str(reply))
    if not isinstance(reply, ResponseError):
        return reply
    code = next((code for kind, code in _CODES.items() if isinstance(reply, kind)), "")
    text = str(reply)
    return Refusal(text if text.startswith(code) else f"{code} {text}")


def _address(client: Any) -> str:
    options = client.connection_pool.connection_kwargs
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db', 0)}"
