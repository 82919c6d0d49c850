"""Settings of a process, read from its environment.

Only commands and `__main__` modules call `from_env`; the library is handed what it needs and reads no
environment by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ferryman.errors import FerrymanError

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


class BadSetting(FerrymanError):
    """A setting cannot be used. The message names the variable and says what it should hold."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class RedisSettings(msgspec.Struct, frozen=True):
    """Where Redis is.

    `url` may carry a password: show `safe_url` to people and logs, never `url`.
    """

    url: str

    @classmethod
    def from_env(cls, env: Mapping[str, str], url: str | None = None) -> RedisSettings:
        """The given `url` if there is one, then FERRYMAN_REDIS_URL, then the content of the file named by
        FERRYMAN_REDIS_URL_FILE (a mounted Secret), then a Redis on this machine.

        Raises BadSetting when that file cannot be read or is empty.
        """
        if url:
            return cls(url)
        if from_variable := env.get("FERRYMAN_REDIS_URL"):
            return cls(from_variable)
        if path := env.get("FERRYMAN_REDIS_URL_FILE"):
            return cls(_content("FERRYMAN_REDIS_URL_FILE", Path(path)))
        return cls(DEFAULT_REDIS_URL)

    @property
    def safe_url(self) -> str:
        """The URL with its password replaced by `***`."""
        parts = urlsplit(self.url)
        if parts.password is None:
            return self.url
        user, _, host = parts.netloc.rpartition("@")
        name, _, _ = user.partition(":")
        return urlunsplit(parts._replace(netloc=f"{name}:***@{host}"))


def _content(variable: str, path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadSetting(variable, f"cannot read {path}: {error.strerror}") from error
    if not content:
        raise BadSetting(variable, f"{path} is empty; it should hold a URL such as {DEFAULT_REDIS_URL}")
    return content
