"""Health: /livez, /readyz and /metrics over HTTP, served by the event loop that they speak for.

/livez fails when a loop has ended no round for a while: a bug or a hang, which a restart may cure. A lost Redis is
neither, and fails no probe. A blocked event loop does not answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ferryman.probes import Response, serve

#: Many times the longest a round may take: a reply that never comes (10 s) and the longest pause (5 s).
STALLED_AFTER_S: Final = 30.0


class Health:
    """`stalled` names the loops that stand still; `metrics` gives the text of /metrics."""

    def __init__(self, stalled: Callable[[], list[str]], metrics: Callable[[], bytes]) -> None:
        self.stopping = False
        self._stalled = stalled
        self._metrics = metrics

    async def serve(self, port: int) -> asyncio.Server:
        """Listen on all addresses; port 0 takes a free one of this machine. The caller closes the server."""
        return await serve(self.respond, port, None if port else "127.0.0.1")

    def respond(self, path: str) -> Response:
        """Status, content type and body for a path."""
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if path not in ("/livez", "/readyz"):
            return 404, "text/plain", b"there are /livez, /readyz and /metrics\n"
        if stalled := self._stalled():
            return 503, "text/plain", f"no round ended lately: {', '.join(stalled)}\n".encode()
        if path == "/readyz" and self.stopping:
            return 503, "text/plain", b"stopping\n"
        return 200, "text/plain", b"ok\n"
