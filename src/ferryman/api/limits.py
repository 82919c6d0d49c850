"""What is turned away before any work is done: bodies that are too large, and requests from strangers' web pages."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryman.api.problems import Problem
from ferryman.api.settings import is_loopback

_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class BodyLimit:
    """413 for a body over `limit` bytes: by its declared length, and by counting what really arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        detail = (
            f"The body is over {self._limit} bytes. Send fewer tasks at once, or store the data and pass a reference."
        )
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit:
            await Problem(413, "body-too-large", detail).response()(scope, receive, send)
            return
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > self._limit:
                raise HTTPException(413, detail)
            return message

        await self._app(scope, counted, send)


class JsonOnly:
    """415 for a body that does not say it is JSON, as curl's do without a header.

    It also keeps out pages of other origins that send JSON as text/plain, for which browsers ask nobody.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in _CHANGING:
            headers = Headers(scope=scope)
            has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if has_body and kind != "application/json":
                detail = "Bodies are JSON here. Send the header Content-Type: application/json."
                await Problem(415, "not-json", detail).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class OriginGuard:
    """403 for a change that a web page of another origin asks for, unless that origin is configured.

    CORS alone only hides the answer from such a page; a POST without a body needs no preflight and would be done.
    Programs that are no browsers send no Origin and are not concerned.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in _CHANGING:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            own = headers.get("host", "")
            if origin is not None and origin not in self._origins and urlsplit(origin).netloc != own:
                detail = f"Pages of {origin} may not change anything here. FERRYMAN_API_ORIGINS lists those that may."
                await Problem(403, "origin-not-allowed", detail).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


class LoopbackGuard:
    """403 for a Host that is not this machine, while no token protects it.

    A page can point its own name at 127.0.0.1 (DNS rebinding) and would then be same-origin; the Host header tells.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "")
            if not is_loopback(urlsplit(f"//{host}").hostname or ""):
                detail = (
                    f"Without a token only this machine is served, by the names localhost and 127.0.0.1, not {host!r}."
                )
                await Problem(403, "host-not-allowed", detail).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)
