"""Settings of the API process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ferryman.settings import BadSetting


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens, and whom it serves. `token_file` wins over `token`; without both there is none."""

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    token: str = ""
    origins: tuple[str, ...] = ()
    insecure: bool = False
    body_limit_bytes: int = 1 << 20

    @classmethod
    def from_env(
        cls, env: Mapping[str, str], host: str | None = None, port: int | None = None, insecure: bool = False
    ) -> ApiSettings:
        """What the command line says, then FERRYMAN_API_*, then the defaults.

        Raises BadSetting, also for an address that other machines reach while there is no token.
        """
        token_file = env.get("FERRYMAN_API_TOKEN_FILE")
        settings = cls(
            host=host or env.get("FERRYMAN_API_HOST") or "127.0.0.1",
            port=port if port is not None else _port(env.get("FERRYMAN_API_PORT") or "8000"),
            token_file=Path(token_file) if token_file else None,
            token=env.get("FERRYMAN_API_TOKEN", "").strip(),
            origins=_origins(env.get("FERRYMAN_API_ORIGINS", "")),
            insecure=insecure,
        )
        if not (settings.has_token or settings.on_loopback or insecure):
            raise BadSetting(
                "FERRYMAN_API_TOKEN_FILE",
                f"listening on {settings.host} lets other machines in, and there is no token. "
                "Set it (or FERRYMAN_API_TOKEN), listen on 127.0.0.1, or add --insecure if anyone may do anything",
            )
        return settings

    @property
    def has_token(self) -> bool:
        """Whether requests must carry a bearer token."""
        return self.token_file is not None or bool(self.token)

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= 65535:
        return int(text)
    raise BadSetting("FERRYMAN_API_PORT", f"{text!r} is no port; write a number up to 65535")


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}":
            # "*" too: it would let every page that a person has open press the buttons.
            raise BadSetting(
                "FERRYMAN_API_ORIGINS", f"{origin!r} is no origin; write it like https://grafana.example.com"
            )
    return origins
