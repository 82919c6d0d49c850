"""Health: answers /livez, /readyz and /metrics from the beat child.

It lives in the child, not in a thread of the worker: a handler that blocks the loop or holds the GIL must not
get its pod killed, and only a process of its own can still answer then. /livez fails when the worker's loop has
stood still for the hang timeout: then beats have stopped too, and a restart is the cure. A lost Redis fails
neither probe. /metrics is asked of the worker, and says 503 when its loop is busy for longer than a scrape waits.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Callable

from ferryman.probes import MAX_REQUEST_BYTES, Response, respond
from ferryman_worker.board import Board

logger = logging.getLogger(__name__)

#: A connection that says nothing for this long is closed.
_CLIENT_PATIENCE_S = 2.0
#: How long a scrape waits for the worker's loop.
_METRICS_PATIENCE_S = 5.0
_ASK = struct.Struct("!I")
_ANSWER = struct.Struct("!II")


class MetricsLine:
    """The child's end of a socket pair to the worker: asks for the text of /metrics.

    Questions are numbered, so that an answer that came too late is not taken for the next one's.
    """

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._number = 0
        self._lock = threading.Lock()

    def ask(self) -> bytes | None:
        """The metrics text, or None when the worker does not answer in time."""
        with self._lock:
            self._number += 1
            self._line.settimeout(_METRICS_PATIENCE_S)
            try:
                self._line.sendall(_ASK.pack(self._number))
                while True:
                    number, size = _ANSWER.unpack(self._read(_ANSWER.size))
                    body = self._read(size)
                    if number == self._number:
                        return body
            except OSError:
                return None

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._line.recv(size - len(parts))
            if not part:
                raise ConnectionError("the worker is gone")
            parts += part
        return bytes(parts)


def answer(path: str, board: Board, hang_timeout_ms: int, metrics: Callable[[], bytes | None]) -> Response:
    """(status, content type, body) for one GET."""
    plain = "text/plain; charset=utf-8"
    if path == "/livez":
        stalled_ms = board.stalled_ms
        if stalled_ms < hang_timeout_ms:
            return 200, plain, b"ok\n"
        return 503, plain, f"the event loop has not moved for {stalled_ms // 1000} s\n".encode()
    if path == "/readyz":
        return (200, plain, b"ok\n") if board.ready else (503, plain, b"taking no tasks\n")
    if path == "/metrics":
        body = metrics()
        if body is None:
            return 503, plain, b"the event loop is busy\n"
        return 200, "text/plain; version=1.0.0; charset=utf-8", body
    return 404, plain, b"try /livez, /readyz or /metrics\n"


def serve(listener: socket.socket, board: Board, hang_timeout_ms: int, line: MetricsLine) -> None:
    """Answers connections for ever; run in a daemon thread of the beat child."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError as error:
            logger.warning("health server: %s", error)
            threading.Event().wait(1.0)  # out of descriptors, most likely: it passes, or /livez fails
            continue
        threading.Thread(
            target=_serve_one, args=(client, board, hang_timeout_ms, line), name="health", daemon=True
        ).start()


def _serve_one(client: socket.socket, board: Board, hang_timeout_ms: int, line: MetricsLine) -> None:
    with client:
        client.settimeout(_CLIENT_PATIENCE_S)
        try:
            request = b""
            while b"\r\n\r\n" not in request and len(request) < MAX_REQUEST_BYTES:
                part = client.recv(MAX_REQUEST_BYTES)
                if not part:
                    return
                request += part
            client.sendall(respond(request, lambda path: answer(path, board, hang_timeout_ms, line.ask)))
        except (OSError, ValueError):
            pass  # the client went away, or speaks no HTTP
