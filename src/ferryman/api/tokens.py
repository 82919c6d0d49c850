"""Which bearer tokens are accepted, and what each may do. Files are read again when they change.

A file may hold several tokens, one a line: the old and the new of a rotation. A token that stands in the files of
two scopes has both. No token is ever written to a log.
"""

from __future__ import annotations

import hmac
import logging
from enum import StrEnum
from pathlib import Path

from ferryman.api.settings import ApiSettings
from ferryman.settings import BadSetting

_log = logging.getLogger(__name__)


class Scope(StrEnum):
    """What a token may do; `admin` may do everything, the others only what they are named for."""

    READ = "read"  # look at queues and tasks, their arguments and results too
    ENQUEUE = "enqueue"  # add tasks
    ADMIN = "admin"  # cancel, hold, resume, revive, reset, and what the others may


class TokenFile:
    """The tokens in one file. Raises BadSetting when it cannot be read at the start or holds no token."""

    def __init__(self, variable: str, path: Path) -> None:
        self._path = path
        try:
            self._tokens = _read(path)
            self._seen = _version(path)
        except OSError as error:
            raise BadSetting(variable, f"cannot read {path}: {error.strerror}") from error
        if not self._tokens:
            raise BadSetting(variable, f"{path} holds no token")

    def tokens(self) -> list[bytes]:
        """Those that are accepted now."""
        try:
            version = _version(self._path)
            if version != self._seen:
                self._tokens, self._seen = _read(self._path), version
                _log.info("%s changed; %d tokens in it are accepted now", self._path, len(self._tokens))
        except OSError as error:
            # A Secret is swapped by renaming a folder; a look in between must not lock everybody out.
            _log.warning("cannot read %s, its last tokens stay valid: %s", self._path, error)
        return self._tokens


class Tokens:
    """The tokens of all scopes."""

    def __init__(self, settings: ApiSettings) -> None:
        """Raises BadSetting when a file cannot be read or holds no token."""
        named = [
            (Scope.ADMIN, "FERRYMAN_API_TOKEN_FILE", settings.token_file),
            (Scope.ENQUEUE, "FERRYMAN_API_ENQUEUE_TOKEN_FILE", settings.enqueue_token_file),
            (Scope.READ, "FERRYMAN_API_READ_TOKEN_FILE", settings.read_token_file),
        ]
        self._files = [(scope, TokenFile(variable, path)) for scope, variable, path in named if path]
        self._fixed = [settings.token.encode()] if settings.token and not settings.token_file else []

    def scopes(self, token: bytes) -> frozenset[Scope]:
        """What this token may do; nothing when it is unknown. All are compared, so the time tells nothing."""
        accepted = [(Scope.ADMIN, fixed) for fixed in self._fixed]
        accepted += [(scope, known) for scope, file in self._files for known in file.tokens()]
        matched = [(scope, hmac.compare_digest(token, known)) for scope, known in accepted]
        held = frozenset(scope for scope, matches in matched if matches)
        return frozenset(Scope) if Scope.ADMIN in held else held


def _read(path: Path) -> list[bytes]:
    return [line.strip() for line in path.read_bytes().splitlines() if line.strip()]


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size
