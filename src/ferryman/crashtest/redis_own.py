"""The Redis of a crash test: one that can be killed, and states what it may forget; or one that is not ours."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Protocol

from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.outcome import Settings
from ferryman.crashtest.redis_pair import RedisPair
from ferryman.dev.redis_server import RedisServer
from ferryman.settings import RedisSettings

#: What a killed server may have acknowledged and not written (ms), by its `appendfsync`. With `always`, nothing. With
#: `everysec` it writes before it answers, except that it waits up to 2 s for a slow fsync of the last second.
FORGETS_MS: Final = {"always": 0.0, "everysec": 2_000.0}


class Redis(Protocol):
    """`url` stays the same whatever happens; what was acknowledged `forgets_ms` before a failure may be gone."""

    @property
    def url(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def forgets_ms(self) -> float: ...

    async def fail(self, away_s: float) -> float:
        """Dies now, and is there again about `away_s` later; returns when it died (ms)."""

    async def stop(self) -> None:
        """For good."""


class OwnRedis:
    """One embedded server with an append-only file."""

    def __init__(self, folder: Path, appendfsync: str) -> None:
        self.forgets_ms = FORGETS_MS[appendfsync]
        self._server = RedisServer(folder, port=0, options=("--appendfsync", appendfsync))
        self._failing = asyncio.Lock()
        self.kind = ""

    @property
    def url(self) -> str:
        """Where it listens, before and after it failed."""
        return self._server.url

    async def start(self) -> None:
        """Raises CommandFailed."""
        await self._server.start()
        self.kind = self._server.kind

    async def fail(self, away_s: float) -> float:
        """Killed; back when it has read its file."""
        async with self._failing:
            at_ms = now_ms()
            await self._server.kill()
            await asyncio.sleep(away_s)
            await self._server.start()
            return at_ms

    async def stop(self) -> None:
        """Its data is not needed any more."""
        await self._server.kill()


class GivenRedis:
    """A Redis that somebody else runs: it is never killed."""

    forgets_ms = 0.0

    def __init__(self, url: str) -> None:
        self.url = url
        self.kind = f"the Redis at {RedisSettings(url).safe_url}"

    async def fail(self, away_s: float) -> float:
        """Not this one."""
        raise AssertionError("a Redis that is not ours must not be killed")

    async def stop(self) -> None:
        """Nothing to stop."""


async def open_redis(settings: Settings) -> Redis:
    """The one that the settings ask for, started. Raises CommandFailed."""
    if settings.redis_url:
        return GivenRedis(settings.redis_url)
    folder = settings.folder / "redis"
    own = RedisPair(folder) if settings.redis_fails == "failover" else OwnRedis(folder, settings.appendfsync)
    try:
        await own.start()
    except BaseException:
        await own.stop()
        raise
    return own
