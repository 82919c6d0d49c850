"""Health: /livez, /readyz and /metrics over HTTP, served by the event loop that they speak for.

kopf's own health check passes while its watches are dead and would pass while no queue is looked after. Here
/livez fails when no pass has ended for a while; and a blocked event loop does not answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

#: A request's head may be this long and take this long to arrive.
MOST_BYTES: Final = 8192
PATIENCE_S: Final = 5.0


class Health:
    """Serves the health of the operator. `age_s` says how long ago a pass ended."""

    def __init__(self, age_s: Callable[[], float], limit_s: float, metrics: Callable[[], bytes]) -> None:
        self._age_s = age_s
        self._limit_s = limit_s
        self._metrics = metrics

    async def serve(self, port: int, host: str | None = None) -> asyncio.Server:
        """Listen on `host`, or on all addresses; the caller closes the server."""
        return await asyncio.start_server(self._answer, host, port, limit=MOST_BYTES)

    def respond(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for a path."""
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if path in ("/livez", "/readyz"):
            age_s = self._age_s()
            healthy = age_s < self._limit_s
            return 200 if healthy else 503, "text/plain", f"last pass ended {age_s:.0f} s ago\n".encode()
        return 404, "text/plain", b"there are /livez, /readyz and /metrics\n"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                _, path, *_ = head.split(b" ", 2)
                status, content_type, body = self.respond(path.decode().partition("?")[0])
                lines = (
                    f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}",
                    f"Content-Type: {content_type}",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a client that speaks no HTTP, or went away
        finally:
            writer.close()
