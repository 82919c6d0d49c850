"""Feed: gives a history to a Prometheus that scrapes it, some steps at each scrape, and knows when all is told."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dashboard_cost.history import History

#: Samples in the first answer. The next ones grow as long as Prometheus takes them before its timeout.
_SAMPLES_AT_FIRST = 800_000


class Feed:
    """An HTTP server on a free loopback port. A part that was not taken whole is given again."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._at_once = max(_SAMPLES_AT_FIRST // history.series, 1)
        self._step = 0
        self._turn = threading.Lock()
        self.all_told = threading.Event()
        feed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with feed._turn:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/plain; version=0.0.4")
                    self.end_headers()
                    feed._tell(self)

            def log_message(self, format: str, *args: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def _tell(self, handler: BaseHTTPRequestHandler) -> None:
        if self._step >= self._history.steps:
            # The scrape before this one is in the database: Prometheus makes one after the other.
            self.all_told.set()
            return
        until = min(self._step + self._at_once, self._history.steps)
        try:
            for step in range(self._step, until):
                handler.wfile.write(self._history.text(step).encode())
        except OSError:
            self._at_once = max(self._at_once // 2, 1)
            return
        self._step = until
        self._at_once += max(self._at_once // 2, 1)
