"""The API's own metrics. Labels are bounded: route templates, known methods, and a limited number of queue names."""

from __future__ import annotations

import time
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ferryman.metrics import QueueLabels, process_registry, round_trips

#: Values of the label `method`; any other method is `other`.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ApiMetrics:
    """Counts requests and what they enqueued; `render` is the scrape."""

    def __init__(self) -> None:
        self._registry = process_registry(with_python=False)
        self._requests = Counter(
            "ferryman_http_requests_total",
            "Requests answered, by route template and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "ferryman_http_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._enqueued = Counter(
            "ferryman_enqueued_total",
            "Tasks that this API added to a queue; an id that existed already is not counted.",
            ("queue",),
            registry=self._registry,
        )
        #: Is told of each round trip.
        self.round_trip = round_trips(self._registry, "api")
        self._queues = QueueLabels()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def enqueued(self, queue: str, count: int) -> None:
        """`count` tasks were added to `queue`."""
        self._enqueued.labels(self._queues.of(queue)).inc(count)

    def render(self) -> tuple[bytes, str]:
        """The text of a scrape and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class Measured:
    """Measures every request that passes; the outermost layer, so refusals are counted too."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The router leaves the matched route in the scope; what no route matched shares one label.
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.answered(scope["method"], route, status, time.monotonic() - started)
