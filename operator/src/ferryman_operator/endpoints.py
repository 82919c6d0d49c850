"""Endpoints: finds the URL of each TaskQueue's Redis, from the object or from its Secret.

A Secret is read with `get` alone, kept for a while, and read again when it was missing or Redis refused the
password: so a Secret that appears or changes heals the queue without anybody's help.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ferryman_operator.cluster import Cluster, ClusterError, Forbidden, NotFound
from ferryman_operator.spec import RedisRef

#: How long a URL from a Secret is trusted, and how soon one that could not be read is tried again.
KEEP_S: Final = 60.0
RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class NoEndpoint:
    """Why the URL is not known: the reason and message of a condition."""

    reason: str
    message: str


class Endpoints:
    """The URLs, by namespace and reference."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._known: dict[tuple[str, RedisRef], tuple[float, str | NoEndpoint]] = {}

    def known(self, namespace: str, redis: RedisRef) -> str | NoEndpoint | None:
        """What need not be read now; None when `resolve` must ask the API server."""
        if redis.url is not None:
            return redis.url
        until_s, found = self._known.get((namespace, redis), (0.0, None))
        return found if self._clock() < until_s else None

    async def resolve(self, namespace: str, redis: RedisRef) -> str | NoEndpoint:
        """The URL, or why it is not known."""
        if (known := self.known(namespace, redis)) is not None:
            return known
        _, found = self._known.get((namespace, redis), (0.0, None))
        read = await self._read(namespace, redis)
        if isinstance(read, NoEndpoint) and read.reason == "SecretUnreadable" and isinstance(found, str):
            read = found  # the API server is away; what was known a minute ago is better than nothing
        self._known[namespace, redis] = (self._clock() + (KEEP_S if isinstance(read, str) else RETRY_S), read)
        return read

    def distrust(self, namespace: str, redis: RedisRef) -> None:
        """Redis refused the password: read the Secret again before the next pass, but not more often than others."""
        if (known := self._known.get((namespace, redis))) and isinstance(known[1], str):
            self._known[namespace, redis] = (min(known[0], self._clock() + RETRY_S), known[1])

    async def _read(self, namespace: str, redis: RedisRef) -> str | NoEndpoint:
        name, key = str(redis.secret), redis.key
        try:
            url = await self._cluster.secret_value(namespace, name, key)
        except NotFound:
            return NoEndpoint(
                "SecretNotFound", f"Secret {name!r} of spec.redis.secretRef does not exist in {namespace!r}"
            )
        except Forbidden as error:
            return NoEndpoint("Forbidden", str(error))
        except (ClusterError, UnicodeDecodeError) as error:
            return NoEndpoint("SecretUnreadable", f"Secret {name!r}: {error}")
        if not url:
            return NoEndpoint("SecretKeyMissing", f"Secret {name!r} has no key {key!r} (spec.redis.secretRef.key)")
        if urlsplit(url).scheme not in ("redis", "rediss"):
            return NoEndpoint("InvalidURL", f"key {key!r} of Secret {name!r} is no redis:// or rediss:// URL")
        return url
