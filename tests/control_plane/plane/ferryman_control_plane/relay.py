"""Relay: stands between a client and the API server, and can make connections hang without a word."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CHUNK = 65_536


class Relay:
    """Listens on `port` of loopback and passes everything on to `target`, another port there."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._frozen: set[socket.socket] = set()
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """The connections that are open now stay open, and nothing more comes through them. New ones work."""
        with self._lock:
            self._frozen.update(self._open)

    def close(self) -> None:
        """End everything."""
        with self._lock:
            for one in [self._listener, *self._open]:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if source in self._frozen:
                    continue  # swallowed
                sink.sendall(data)
            if source not in self._frozen:
                sink.shutdown(socket.SHUT_WR)
