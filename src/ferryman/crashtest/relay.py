"""Relay: a small TCP proxy before Redis: one address for all processes, whichever server is behind it now.

The place for faults of the connection, too: whoever wants to cut, slow or half-close it does it in `_pump`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

_PIECE: Final = 1 << 16


class Relay:
    """Listens on a port of this machine; connections go to `target`, or are closed at once while there is none."""

    def __init__(self) -> None:
        self.port = 0
        self._target: int | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, target: int) -> None:
        """From now on connections go to port `target` of this machine."""
        self._target = target
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def turn(self, target: int | None) -> None:
        """Cuts every connection; the next ones go to port `target`."""
        self._target = target
        for connection in self._open:
            connection.cancel()

    async def stop(self) -> None:
        """Closes everything."""
        self.turn(None)
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Cancelled when the connection is cut, which must not show up as an error of the server."""
        serving = asyncio.create_task(self._connect(reader, writer))
        self._open.add(serving)
        serving.add_done_callback(self._open.discard)
        await asyncio.wait({serving})

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                if self._target is None:
                    return
                behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    await self._both_ways(reader, writer, behind_reader, behind_writer)
                finally:
                    behind_writer.close()
            finally:
                writer.close()

    async def _both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        behind_reader: asyncio.StreamReader,
        behind_writer: asyncio.StreamWriter,
    ) -> None:
        ways = [
            asyncio.create_task(self._pump(reader, behind_writer)),
            asyncio.create_task(self._pump(behind_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
