"""FakeRedis: a server in this process's memory, which runs the Lua scripts all the same."""

from __future__ import annotations

from typing import Any

from fakeredis import FakeAsyncRedis, FakeServer, FakeStrictRedis


class FakeRedis:
    """No socket, no process. Nothing outlives it."""

    def __init__(self) -> None:
        self._server = FakeServer()

    def client(self) -> Any:
        """An asyncio client, for the running loop."""
        return FakeAsyncRedis(server=self._server)

    def sync_client(self) -> Any:
        """A blocking client, for any thread."""
        return FakeStrictRedis(server=self._server)

    def clear(self) -> None:
        """Start over."""
        self._server = FakeServer()
