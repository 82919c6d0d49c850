"""Rate limit: a bucket of requests per token, or per address for those without one that is accepted.

Each process counts for itself. A bucket fills up with time and each request takes one out; an empty one is 429 with
the seconds until it has one again.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ferryman.api.problems import Problem

#: Probes and the scrape are never limited.
_UNLIMITED: Final = frozenset({"/livez", "/readyz", "/metrics"})

#: Whoever has not come for longest is forgotten first, and starts with a full bucket when it comes again.
_CLIENTS_AT_MOST: Final = 10_000


class Buckets:
    """A bucket per client: `burst` requests at once, and `per_s` each second in the long run."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, client: Hashable) -> float:
        """Takes one request out; returns 0, or how many seconds are missing until there is one."""
        now = self._clock()
        left, at = self._left.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._per_s)
        missing = max(0.0, 1.0 - left)
        self._left[client] = (left if missing else left - 1.0), now
        if len(self._left) > _CLIENTS_AT_MOST:
            self._left.popitem(last=False)
        return missing / self._per_s


class RateLimit:
    """429 with `Retry-After` for whoever sends more than its bucket holds."""

    def __init__(self, app: ASGIApp, buckets: Buckets, client_of: Callable[[Scope], Hashable]) -> None:
        self._app = app
        self._buckets = buckets
        self._client_of = client_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _UNLIMITED:
            wait_s = self._buckets.take(self._client_of(scope))
            if wait_s:
                await too_many(math.ceil(wait_s)).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def too_many(after_s: int) -> Problem:
    """429, and when to come again."""
    detail = f"Too many requests. Try again in {after_s} s, or send several tasks in one request."
    return Problem(429, "too-many-requests", detail, headers={"Retry-After": str(after_s)})


def address_of(scope: Scope) -> Hashable:
    """The address that a request came from; behind a proxy that is the proxy's."""
    client = scope.get("client")
    return client[0] if client else ""
