"""CORS, no wider than a control panel needs: configured origins, GET and POST, four headers, no cookies.

A page of any other origin gets no CORS header at all, so its browser neither sends what needs a preflight nor shows
an answer to it; what needs no preflight, OriginGuard refuses.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryman.api.problems import Problem

METHODS: Final = ("GET", "POST")
HEADERS: Final = ("Authorization", "Content-Type", "X-Grafana-Action", "Idempotency-Key")

# How long a browser may remember a preflight's answer.
_MAX_AGE_S: Final = 600


class Cors:
    """Answers preflights, which carry no token, and marks answers as readable for configured origins."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = origin is not None and origin in self._origins

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if origin is not None and allowed:
                    answer["Access-Control-Allow-Origin"] = origin
                    answer["Access-Control-Expose-Headers"] = "Retry-After"
            await send(message)

        if origin is not None and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            # A refusal without marks: a browser must not take any header of it for a permission.
            answer = _preflight(headers) if allowed else _refusal(f"Pages of {origin} may not use this API.")
            await answer(scope, receive, marked)
        else:
            await self._app(scope, receive, marked)


def _preflight(headers: Headers) -> Response:
    method = headers["access-control-request-method"]
    asked = [name.strip() for name in headers.get("access-control-request-headers", "").split(",") if name.strip()]
    known = {name.lower() for name in HEADERS}
    strange = [name for name in asked if name.lower() not in known]
    if method not in METHODS:
        return _refusal(f"Pages may use {' and '.join(METHODS)}, not {method}.")
    if strange:
        return _refusal(f"Pages may send the headers {', '.join(HEADERS)}; not {', '.join(strange)}.")
    permission = {
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(HEADERS),
        "Access-Control-Max-Age": str(_MAX_AGE_S),
    }
    return Response(status_code=204, headers=permission)


def _refusal(detail: str) -> Response:
    return Problem(403, "origin-not-allowed", detail).response()
