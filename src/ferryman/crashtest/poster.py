"""Poster: enqueues over HTTP, through `ferryman api`, and knows when a request is under way.

Plain HTTP/1.1 with one connection per request: nothing between the test and the API sends anything again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from ferryman.crashtest.plan import PlannedTask

_ANSWER_WITHIN_S: Final = 15.0


class NotAccepted(Exception):
    """The request was not answered with 201: nobody knows what became of it, and it is to be sent again."""


class Poster:
    """Posts to the API on `port` of this machine."""

    def __init__(self, queue: str, port: int) -> None:
        self._queue = queue
        self._port = port
        self._under_way = 0
        self._sent = asyncio.Event()

    async def post(self, tasks: Sequence[PlannedTask]) -> list[str]:
        """The ids that were accepted. Raises NotAccepted."""
        body = json.dumps({"tasks": [self._body(task) for task in tasks]}).encode()
        head = (
            f"POST /tasks HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                answer = await self._exchange(head.encode() + body)
            status, _, rest = answer.partition(b"\r\n")
            accepted = json.loads(rest.partition(b"\r\n\r\n")[2])["ids"] if b" 201 " in status else None
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            raise NotAccepted(str(error)) from error
        if accepted is None:
            raise NotAccepted(answer.decode(errors="replace"))
        return list(accepted)

    async def in_flight(self) -> None:
        """Waits until a request was sent and is not answered yet."""
        while not self._under_way:
            self._sent.clear()
            await self._sent.wait()

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request)
            await writer.drain()
            self._under_way += 1
            self._sent.set()
            try:
                return await reader.read()
            finally:
                self._under_way -= 1
        finally:
            writer.close()

    def _body(self, task: PlannedTask) -> dict[str, object]:
        body: dict[str, object] = {
            "queue": self._queue,
            "task": task.name,
            "id": task.id,
            "args": {"ms": task.ms, "fails": task.fails},
            "priority": task.priority,
        }
        if task.lane:
            body["lane"] = task.lane
        return {**body, "delay": task.delay_ms / 1_000} if task.delay_ms else body
