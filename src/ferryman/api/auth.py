"""Who may come in and do what: a bearer token, and the scope that a request needs. Nothing here reads a body."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from ferryman.api.problems import Problem
from ferryman.api.tokens import Scope, Tokens

#: What needs no token: probes and scrapes inside the cluster, and the description, which is no secret.
OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json", "/docs"})

_REALM: Final = 'Bearer realm="ferryman"'


def scope_needed(method: str, path: str) -> Scope:
    """The scope for a request. What is not named here changes something that exists: that is admin's."""
    if method in ("GET", "HEAD"):
        return Scope.READ
    if method == "POST" and path == "/tasks":
        return Scope.ENQUEUE
    return Scope.ADMIN


def token_of(connection: Connection) -> bytes:
    """The bearer token that a request carries, or nothing."""
    kind, _, token = Headers(scope=connection).get("authorization", "").partition(" ")
    return token.strip().encode() if kind.lower() == "bearer" else b""


class BearerAuth:
    """Answers 401 to requests without an accepted token and 403 to those whose token may not do this.

    OPEN_PATHS need none.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, connection: Connection, receive: Receive, send: Send) -> None:
        problem = None
        if connection["type"] == "http" and connection["path"] not in OPEN_PATHS:
            problem = self._refusal(connection)
        if problem:
            await problem.response()(connection, receive, send)
        else:
            await self._app(connection, receive, send)

    def _refusal(self, connection: Connection) -> Problem | None:
        token = token_of(connection)
        held = self._tokens.scopes(token)
        if not held:
            what = "is not valid" if token else "is missing"
            detail = f"The bearer token {what}. Send the header Authorization: Bearer <token>."
            return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": _REALM})
        needed = scope_needed(connection["method"], connection["path"])
        if needed in held:
            return None
        return out_of_scope(needed, sorted(held))


def out_of_scope(needed: Scope, held: list[Scope]) -> Problem:
    """403: the token is known, and may not do this."""
    detail = f"This needs a token with the scope {needed}; the one that was sent has {' and '.join(held)}."
    challenge = f'{_REALM}, error="insufficient_scope", scope="{needed}"'
    return Problem(403, "insufficient-scope", detail, headers={"WWW-Authenticate": challenge}, needed=needed, held=held)
