"""RemoteLog: the execution log of workers in a cluster, kept by the collector, outside Redis and outside the workers.

A handler goes on only when the collector has a line on its disk, so a line that is missing was never reached. After
a broken connection the line is sent again; the reader drops what arrived twice. Blocks the caller, on purpose.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Final

from ferryman.crashtest.execution_log import ExecutionLog

_CONNECT_S: Final = 2.0
_REPLY_S: Final = 5.0
_AGAIN_S: Final = 0.1
_ACK: Final = b"ok\n"


class Line:
    """One connection to the collector, opened when it is needed and again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def send(self, text: str) -> None:
        """Returns when the collector has it on its disk, however often that takes."""
        message = f"{text}\n".encode()
        while True:
            try:
                self._exchange(message)
            except OSError:
                self.close()
                time.sleep(_AGAIN_S)
            except BaseException:  # an interrupted handler: what is in the socket belongs to no later line
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """The next line opens it again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, message: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, _CONNECT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(_REPLY_S)
        self._socket.sendall(message)
        reply = b""
        while len(reply) < len(_ACK):
            part = self._socket.recv(len(_ACK) - len(reply))
            if not part:
                raise ConnectionError("the collector hung up")
            reply += part
        if reply != _ACK:
            raise ConnectionError(f"the collector answered {reply!r}")


class RemoteLog(ExecutionLog):
    """For one worker process; its threads and its forked children have a connection each."""

    def __init__(self, host: str, port: int, process: str) -> None:
        super().__init__(process)
        self._address = (host, port)
        self._local = threading.local()

    def _append(self, line: str) -> None:
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.pid, self._local.line = os.getpid(), Line(*self._address)
        self._local.line.send(line)
