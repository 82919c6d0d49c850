"""Health: /livez, /readyz and /metrics over HTTP, served by the event loop that they speak for.

kopf's own health check passes while its watches are dead and would pass while no queue is looked after. Here
/livez fails when no pass has ended for a while; and a blocked event loop does not answer at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ferryman.probes import Response, serve


class Health:
    """Serves the health of the operator. `age_s` says how long ago a pass ended."""

    def __init__(self, age_s: Callable[[], float], limit_s: float, metrics: Callable[[], bytes]) -> None:
        self._age_s = age_s
        self._limit_s = limit_s
        self._metrics = metrics

    async def serve(self, port: int, host: str | None = None) -> asyncio.Server:
        """Listen on `host`, or on all addresses; the caller closes the server."""
        return await serve(self.respond, port, host)

    def respond(self, path: str) -> Response:
        """Status, content type and body for a path."""
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if path in ("/livez", "/readyz"):
            age_s = self._age_s()
            healthy = age_s < self._limit_s
            return 200 if healthy else 503, "text/plain", f"last pass ended {age_s:.0f} s ago\n".encode()
        return 404, "text/plain", b"there are /livez, /readyz and /metrics\n"
