"""Settings of the API process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ferryman.replication import NO_WAIT, ReplicaWait
from ferryman.settings import BadSetting


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the API listens, and whom it serves.

    `token_file` and `token` are admin's, and the file wins; the files of the narrower scopes join them. Without any of
    them no token is asked for. `rate_per_s` 0 means no limit; `wait` is for how many replicas a POST of tasks waits.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Path | None = None
    token: str = ""
    enqueue_token_file: Path | None = None
    read_token_file: Path | None = None
    origins: tuple[str, ...] = ()
    insecure: bool = False
    body_limit_bytes: int = 1 << 20
    rate_per_s: float = 0.0
    rate_burst: int = 1
    wait: ReplicaWait = NO_WAIT

    @classmethod
    def from_env(
        cls, env: Mapping[str, str], host: str | None = None, port: int | None = None, insecure: bool = False
    ) -> ApiSettings:
        """What the command line says, then FERRYMAN_API_* and FERRYMAN_WAIT_REPLICAS, then the defaults.

        Raises BadSetting, also for an address that other machines reach while there is no token.
        """
        rate_per_s = _number(env, "FERRYMAN_API_RATE_PER_S", 0.0)
        settings = cls(
            host=host or env.get("FERRYMAN_API_HOST") or "127.0.0.1",
            port=port if port is not None else _port(env.get("FERRYMAN_API_PORT") or "8000"),
            token_file=_path(env, "FERRYMAN_API_TOKEN_FILE"),
            token=env.get("FERRYMAN_API_TOKEN", "").strip(),
            enqueue_token_file=_path(env, "FERRYMAN_API_ENQUEUE_TOKEN_FILE"),
            read_token_file=_path(env, "FERRYMAN_API_READ_TOKEN_FILE"),
            origins=_origins(env.get("FERRYMAN_API_ORIGINS", "")),
            insecure=insecure,
            body_limit_bytes=int(_number(env, "FERRYMAN_API_BODY_LIMIT_BYTES", 1 << 20)) or 1 << 20,
            rate_per_s=rate_per_s,
            # Two seconds' worth: a page that asks for a handful of things at once is no flood.
            rate_burst=int(_number(env, "FERRYMAN_API_RATE_BURST", 0)) or max(1, math.ceil(2 * rate_per_s)),
            wait=ReplicaWait.from_env(env),
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
        return bool(self.token_file or self.token or self.enqueue_token_file or self.read_token_file)

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


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    try:
        number = float(text) if text else default
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise BadSetting(name, f"{text!r} is no number from 0 on")
    return number


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
