"""Server: where a test's tasks lie. Each kind makes clients; what runs over them is the same."""

from __future__ import annotations

from typing import Any, Protocol


class Server(Protocol):
    """An empty Redis for one test after another. Its clients are those of redis-py, or look like them."""

    def client(self) -> Any:
        """An asyncio client, for the running loop."""
        ...

    def sync_client(self) -> Any:
        """A blocking client, for any thread."""
        ...

    def clear(self) -> None:
        """Empty it."""
        ...
