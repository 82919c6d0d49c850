"""RedisAddress: what a redis://, rediss:// or unix:// URL says: where the server is, and how one gets in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl

#: What may stand behind the `?` of a URL, as in redis-py's URLs.
OPTIONS: Final = (
    "db",
    "username",
    "password",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
)

_REQUIREMENTS: Final = {"none": "CERT_NONE", "optional": "CERT_OPTIONAL", "required": "CERT_REQUIRED"}
_FALSE: Final = ("false", "0", "no", "")


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A server and one of its databases. `path` is a socket's file; then `host` and `port` say nothing."""

    host: str = "localhost"
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Mapping[str, str] | None = None  # None: no TLS; else the URL's options that begin with ssl_

    @classmethod
    def from_url(cls, url: str) -> RedisAddress:
        """Reads `url`. Raises ValueError that says what is wrong with it, without its password."""
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("the URL of Redis must begin with redis://, rediss:// or unix://")
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if unknown := sorted(set(options) - set(OPTIONS)):
            raise ValueError(f"the URL of Redis has an option {unknown[0]!r}; it may have {', '.join(OPTIONS)}")
        path = unquote(parts.path)
        own_socket = parts.scheme == "unix"
        db = options.get("db") or ("" if own_socket else path.strip("/")) or "0"
        if not db.isdecimal():
            raise ValueError(f"the URL of Redis names the database {db!r}, which is no number")
        username = options.get("username") or unquote(parts.username or "")
        password = options.get("password") or unquote(parts.password or "")
        if own_socket:
            return cls(path=path, db=int(db), username=username, password=password)
        tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        return cls(
            host=unquote(parts.hostname or "") or "localhost",
            port=parts.port or 6379,
            db=int(db),
            username=username,
            password=password,
            tls=tls if parts.scheme == "rediss" else None,
        )

    def __str__(self) -> str:
        """host:port/db, or the socket's path; without credentials."""
        return self.path or f"{self.host}:{self.port}/{self.db}"

    def greeting(self, client_name: str | None) -> list[tuple[str, ...]]:
        """The commands with which each connection begins."""
        words: list[tuple[str, ...]] = []
        if self.password:
            words.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if client_name:
            words.append(("CLIENT", "SETNAME", client_name))
        if self.db:
            words.append(("SELECT", str(self.db)))
        return words

    def ssl_context(self) -> ssl.SSLContext | None:
        """How the server's certificate is checked, and ours shown; None without TLS.

        Raises ValueError for an option that can't be, OSError when a file can't be read.
        """
        if self.tls is None:
            return None
        import ssl  # without TLS a beat child or a command does without OpenSSL, which is 3 MiB

        wanted = self.tls.get("ssl_cert_reqs", "required").lower()
        if wanted not in _REQUIREMENTS:
            raise ValueError(f"ssl_cert_reqs is {wanted!r}; it must be none, optional or required")
        context = ssl.create_default_context(cafile=self.tls.get("ssl_ca_certs"), capath=self.tls.get("ssl_ca_path"))
        checks = self.tls.get("ssl_check_hostname", "true").lower() not in _FALSE
        context.check_hostname = checks and wanted != "none"
        context.verify_mode = ssl.VerifyMode[_REQUIREMENTS[wanted]]
        if certificate := self.tls.get("ssl_certfile"):
            context.load_cert_chain(certificate, self.tls.get("ssl_keyfile"), self.tls.get("ssl_password"))
        return context
