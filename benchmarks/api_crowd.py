"""A crowd of HTTP clients, each on a connection of its own, that post tasks until each has been answered 201.

A client that is cut off, refused or told to come again sends the same request with the same Idempotency-Key: what
was accepted without an answer is not added twice, and what was answered must be in Redis.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ferryman.inspector import Inspector
from ferryman.link import Link

QUEUE = "crowd"

_AGAIN_S = 0.05


@dataclass
class Crowd:
    """`clients` connections to 127.0.0.1:`port`; each posts `tasks` tasks, one a request."""

    port: int
    clients: int
    tasks: int
    token: str = ""
    accepted: list[str] = field(default_factory=list)  # ids that were answered with 201
    latencies_s: list[float] = field(default_factory=list)  # of those answers
    resent: int = 0
    half_accepted: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: int = 0
    _all_here: asyncio.Event = field(default_factory=asyncio.Event)

    async def post_all(self) -> float:
        """Returns the seconds from when all are connected until all have been answered."""
        together = asyncio.gather(*(self._client(number) for number in range(self.clients)))
        await self._all_here.wait()
        started = time.monotonic()
        await together
        return time.monotonic() - started

    async def _client(self, number: int) -> None:
        reader, writer = await self._connect()
        self._arrived += 1
        if self._arrived == self.clients:
            self._all_here.set()
        await self._all_here.wait()
        for turn in range(self.tasks):
            key = f"c{number}-{turn}"
            while True:
                started = time.monotonic()
                try:
                    status, body = await self._post(reader, writer, key)
                except (OSError, asyncio.IncompleteReadError):
                    self.resent += 1
                    writer.close()
                    reader, writer = await self._connect()
                    continue
                if status == 201:
                    break
                self.resent += 1
                await asyncio.sleep(_AGAIN_S)
            self.latencies_s.append(time.monotonic() - started)
            self.accepted += json.loads(body)["ids"]
            if len(self.accepted) * 2 >= self.clients * self.tasks:
                self.half_accepted.set()
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(_AGAIN_S)

    async def _post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> tuple[int, bytes]:
        body = json.dumps({"queue": QUEUE, "task": "send", "args": {"to": key}}).encode()
        head = (
            f"POST /tasks HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.token}\r\nIdempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        return int(lines[0].split()[1]), await reader.readexactly(length)


async def missing(redis_url: str, ids: Sequence[str]) -> list[str]:
    """Which of these tasks Redis does not know."""
    link = Link.from_url(redis_url)
    lost = []
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        found = await link.run_all([Inspector(QUEUE).get(task_id) for task_id in some])
        lost += [task_id for task_id, task in zip(some, found, strict=True) if task is None]
    await link.close()
    return lost
