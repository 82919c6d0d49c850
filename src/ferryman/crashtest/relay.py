"""Relay: a TCP proxy of our own before Redis: one address, whichever server is behind it, and faults on demand.

Why not toxiproxy: it is a Go binary, which nobody gets who installs a Python package; and it cannot do the fault that
matters most on purpose: reset a connection after the command was applied and before its reply.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ferryman.crashtest.relay_connection import Address, RelayConnection, Weather

_BACKLOG: Final = 512


class Relay:
    """Listens on a port of this machine; connections go to the target, or are reset at once while there is none."""

    def __init__(self) -> None:
        self.port = 0
        #: Replies that were swallowed, ever.
        self.lost_replies = 0
        #: Held by a fault that must not meet another one here.
        self.busy = asyncio.Lock()
        self._weather = Weather()
        self._server: asyncio.Server | None = None
        #: In the order in which they came.
        self._connections: dict[RelayConnection, None] = {}
        self._lost_one = asyncio.Event()

    async def start(self, target: Address) -> None:
        """From now on connections go there."""
        self._weather.target = target
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, "127.0.0.1", self.port, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes everything."""
        self._weather.target = None
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()

    def turn(self, target: Address | None) -> None:
        """Resets every connection; the next ones go there."""
        self._weather.target = target
        self.cut()

    # Faults.

    def cut(self) -> None:
        """Resets every connection through which anything passes; what was said has arrived."""
        for connection in tuple(self._connections):
            if not connection.frozen:
                connection.reset()

    def freeze(self, *, newcomers: bool) -> None:
        """Nothing passes any more through the connections that there are, nor, if so asked, through new ones."""
        self._weather.freezes_newcomers = newcomers
        for connection in self._connections:
            connection.freeze()

    async def thaw(self) -> None:
        """All that was held arrives, those first who came first."""
        self._weather.freezes_newcomers = False
        for connection in tuple(self._connections):
            await connection.thaw()

    def slow_down(self, latency_s: float, piece: int) -> None:
        """Everything takes so much longer each way, and comes in pieces of so many bytes."""
        self._weather.latency_s, self._weather.piece = latency_s, piece

    def lose_replies(self) -> None:
        """The next reply through each connection is swallowed and its connection reset; so on for their successors."""
        self._lost_one.clear()
        self._weather.loses_replies = True

    async def lost_reply(self) -> None:
        """Waits until a reply was swallowed since `lose_replies`: a command was applied, and who sent it can't know."""
        await self._lost_one.wait()

    def heal(self) -> None:
        """No more of what `slow_down` and `lose_replies` do."""
        self.slow_down(0.0, 0)
        self._weather.loses_replies = False

    def _connection(self) -> RelayConnection:
        connection = RelayConnection(self._weather, self._gone, self._lost)
        self._connections[connection] = None
        return connection

    def _gone(self, connection: RelayConnection) -> None:
        self._connections.pop(connection, None)

    def _lost(self) -> None:
        self.lost_replies += 1
        self._lost_one.set()
