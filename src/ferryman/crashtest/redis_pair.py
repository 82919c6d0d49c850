"""A Redis with a replica: when it dies the replica is promoted, and a new replica copies that one.

Replication is asynchronous: what the dead one had acknowledged last may never have reached its replica. The relay
before them is what a Service or Sentinel is in production: one address that leads to whoever is primary now.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.relay import Relay
from ferryman.dev.redis_server import RedisServer
from ferryman.link import Link

#: How far the replica may be behind (ms). On one machine it is a millisecond; a busy one needs more.
FORGETS_MS: Final = 1_000.0
_IN_STEP_WITHIN_S: Final = 30.0
_HOST: Final = "127.0.0.1"


class RedisPair:
    """Behind one address."""

    forgets_ms = FORGETS_MS

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._relay = Relay()
        self._count = 0
        self._failing = asyncio.Lock()
        self._primary = self._new_server()
        self._replica: RedisServer | None = None
        self.kind = ""

    @property
    def url(self) -> str:
        """The relay's."""
        return f"redis://127.0.0.1:{self._relay.port}/0"

    async def start(self) -> None:
        """Raises CommandFailed."""
        await self._primary.start()
        self.kind = f"{self._primary.kind} with a replica"
        await self._add_replica()
        await self._relay.start((_HOST, self._primary.port))

    async def fail(self, away_s: float) -> float:
        """The primary is killed and nobody answers for a while; then the replica is promoted."""
        async with self._failing:
            assert self._replica is not None
            at_ms = now_ms()
            await self._primary.kill()
            self._relay.turn(None)
            await asyncio.sleep(away_s)
            self._primary = self._replica
            await _ask(self._primary, "REPLICAOF", "NO", "ONE")
            self._relay.turn((_HOST, self._primary.port))
            await self._add_replica()
            return at_ms

    async def stop(self) -> None:
        """For good."""
        await self._relay.stop()
        await self._primary.kill()
        if self._replica is not None:
            await self._replica.kill()

    def _new_server(self, *options: str) -> RedisServer:
        self._count += 1
        return RedisServer(self._folder / str(self._count), port=0, options=options)

    async def _add_replica(self) -> None:
        self._replica = self._new_server("--replicaof", "127.0.0.1", str(self._primary.port))
        await self._replica.start()
        try:
            async with asyncio.timeout(_IN_STEP_WITHIN_S):
                while (await _ask(self._replica, "INFO", "replication")).get("master_link_status") != "up":  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise CommandFailed(f"the replica did not get in step:\n{self._replica.last_words()}") from error


async def _ask(server: RedisServer, *words: str) -> Any:
    link = Link.from_url(server.url, reply_timeout_s=_IN_STEP_WITHIN_S)
    try:
        # Not as a call: a link first learns whether it may send scripts, and a replica takes none.
        [reply] = await link.client.exchange([words])
        if isinstance(reply, Exception):
            raise reply
        return reply
    finally:
        await link.close()
