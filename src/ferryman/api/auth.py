"""Who may come in: a bearer token, compared in constant time and read again when its file changes."""

from __future__ import annotations

import hmac
import logging
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ferryman.api.problems import Problem
from ferryman.api.settings import ApiSettings
from ferryman.settings import BadSetting

#: What needs no token: probes and scrapes inside the cluster, and the description, which is no secret.
OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json", "/docs"})

_log = logging.getLogger(__name__)


class Tokens:
    """The tokens that are accepted now. A file may hold several, one a line: the old and the new of a rotation."""

    def __init__(self, settings: ApiSettings) -> None:
        """Raises BadSetting when the file cannot be read or holds no token."""
        self._file = settings.token_file
        self._seen: tuple[int, int, int] | None = None
        self._tokens = [settings.token.encode()]
        if self._file is not None:
            try:
                self._tokens = _read(self._file)
                self._seen = _version(self._file)
            except OSError as error:
                raise BadSetting("FERRYMAN_API_TOKEN_FILE", f"cannot read {self._file}: {error.strerror}") from error
            if not self._tokens:
                raise BadSetting("FERRYMAN_API_TOKEN_FILE", f"{self._file} holds no token")

    def accept(self, token: bytes) -> bool:
        """Whether this is one of the tokens; every one is compared, so the time tells nothing."""
        self._refresh()
        return sum(hmac.compare_digest(token, accepted) for accepted in self._tokens) > 0

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            version = _version(self._file)
            if version == self._seen:
                return
            tokens = _read(self._file)
        except OSError as error:
            # A Secret is swapped by renaming a folder; a look in between must not lock everybody out.
            _log.warning("cannot read the token file, the last tokens stay valid: %s", error)
            return
        self._tokens, self._seen = tokens, version
        _log.info("the token file changed; %d tokens are accepted now", len(tokens))


class BearerAuth:
    """Answers 401 to every request without an accepted token, but for OPEN_PATHS. Does not read bodies."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._tokens.accept(token.strip().encode()):
            await self._app(scope, receive, send)
            return
        what = "is not valid" if token else "is missing"
        problem = Problem(
            401,
            "unauthorized",
            f"The bearer token {what}. Send the header Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": 'Bearer realm="ferryman"'},
        )
        await problem.response()(scope, receive, send)


def _read(path: Path) -> list[bytes]:
    return [line.strip() for line in path.read_bytes().splitlines() if line.strip()]


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size
