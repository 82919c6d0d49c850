"""Alarm: brings the operator's next look forward when something cannot wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

#: Looks lie so far apart at least, however often it rings.
APART_S: Final = 0.2


class Alarm:
    """Rung by what the watches show, heard by the loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Look soon."""
        self._rung.set()

    async def rest(self, for_s: float) -> None:
        """Wait for so long, or until it rings."""
        await asyncio.sleep(min(for_s, APART_S))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), max(0.0, for_s - APART_S))
        self._rung.clear()
