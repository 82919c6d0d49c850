"""Scrape: answers the beat child's questions for the text of /metrics, and notices the child's death.

The child owns the port (see `health`), the counters are here. A question is a number; the answer is that number,
the length, the text.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from ferryman_worker.figures import Figures

if TYPE_CHECKING:
    from ferryman_worker.metrics import Exposition

logger = logging.getLogger(__name__)

_ASK = struct.Struct("!I")
_ANSWER = struct.Struct("!II")


class ScrapeLine:
    """The worker's end of the socket pair."""

    def __init__(
        self,
        line: socket.socket,
        figures: Figures,
        *,
        in_progress: Callable[[], int],
        child_died: Callable[[], None],
    ) -> None:
        self._line = line
        self._figures = figures
        self._in_progress = in_progress
        self._child_died = child_died
        self._exposition: Exposition | None = None
        self._answering: asyncio.Task[None] | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Starts to listen to the child."""
        self._line.setblocking(False)
        loop.add_reader(self._line.fileno(), self._asked, loop)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stops; the child may end now without anybody minding."""
        loop.remove_reader(self._line.fileno())

    def _asked(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            question = self._line.recv(_ASK.size)
        except BlockingIOError:
            return
        except OSError:
            question = b""
        if len(question) < _ASK.size:
            self.close(loop)
            self._child_died()
            return
        self._answering = loop.create_task(self._answer(loop, *_ASK.unpack(question)), name="scrape")

    async def _answer(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        try:
            text = await self._render()
            await loop.sock_sendall(self._line, _ANSWER.pack(number, len(text)) + text)
        except Exception:
            logger.exception("a scrape failed")

    async def _render(self) -> bytes:
        if self._exposition is None:
            # A tenth of a second, in which tasks go on.
            self._exposition = await asyncio.to_thread(_exposition, self._figures)
        return self._exposition.render(self._in_progress())


def _exposition(figures: Figures) -> Exposition:
    from ferryman_worker.metrics import Exposition  # a worker that nobody scrapes does without the client

    return Exposition(figures)
