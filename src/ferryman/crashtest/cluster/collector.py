"""Collector: a small TCP server that appends every line it gets to a file, and answers when it is written.

It stamps each line with its own clock, so that all times of a crash test, from whatever node, are of one clock. A
connection that introduced itself with `up <pod> <process> <age ms>` is a worker's for life: when it ends, the kernel
has closed it because that process is dead, and the collector writes `gone <pod> <process>`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Final

PORT: Final = 7077
#: A dead node sends no farewell: its connections end after this many silent seconds, and three looks.
_KEEPALIVE_S: Final = 5


def now_ms() -> float:
    """The clock of /proc/uptime, which a person can read from outside."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1_000_000


class Collector:
    """Appends to `path`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    async def serve(self, port: int = PORT) -> asyncio.Server:
        """Listens on all addresses; the caller closes it."""
        return await asyncio.start_server(self._talk, None, port)

    def write(self, text: str) -> None:
        """One line, with the time."""
        os.write(self._file, f"{text} {now_ms():.3f}\n".encode())

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _keep_alive(writer.get_extra_info("socket"))
        life = ""
        try:
            while line := await reader.readline():
                if not line.endswith(b"\n"):
                    break  # cut off in the middle: never acknowledged, so it does not count
                text = line.decode("utf-8", "replace").strip()
                self.write(text)
                if text.startswith("up "):
                    life = " ".join(text.split()[1:3])
                writer.write(b"ok\n")
                await writer.drain()
        except OSError:
            pass  # it will come again, and send again
        finally:
            if life:
                self.write(f"gone {life}")
            writer.close()


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
