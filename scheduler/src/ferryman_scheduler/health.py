"""Health: /livez, /readyz and /metrics over HTTP, served by the event loop that they speak for.

/livez fails when a loop has ended no round for a while: a bug or a hang, which a restart may cure. A lost Redis is
neither, and fails no probe. A blocked event loop does not answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

#: Many times the longest a round may take: a reply that never comes (10 s) and the longest pause (5 s).
STALLED_AFTER_S: Final = 30.0

_MOST_BYTES: Final = 8192
_PATIENCE_S: Final = 5.0
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Response = tuple[int, str, bytes]


class Health:
    """`stalled` names the loops that stand still; `metrics` gives the text of /metrics."""

    def __init__(self, stalled: Callable[[], list[str]], metrics: Callable[[], bytes]) -> None:
        self.stopping = False
        self._stalled = stalled
        self._metrics = metrics

    async def serve(self, port: int) -> asyncio.Server:
        """Listen on all addresses; port 0 takes a free one of this machine. The caller closes the server."""
        host = None if port else "127.0.0.1"
        return await asyncio.start_server(self._answer, host, port, limit=_MOST_BYTES)

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

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, *_ = head.decode("latin-1").split(" ", 2)
                response = self.respond(path.partition("?")[0])
                if method not in ("GET", "HEAD"):
                    response = 405, "text/plain", b"GET only\n"
                writer.write(_encode(response, head_only=method == "HEAD"))
                await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that speaks no HTTP, or went away
        finally:
            writer.close()


def _encode(response: Response, *, head_only: bool) -> bytes:
    status, content_type, body = response
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
