"""Foresight: wakes the fetcher shortly before slots are expected to become free, when nothing else does.

Tasks that began together end together, and until the first of them ends nothing happens in the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sized
from typing import Final

from ferryman_worker.appetite import Appetite

#: So many that begin one after another are one crowd; the loop's clock knows no shorter time either.
_AT_LEAST_S: Final = 0.001


class Foresight:
    """`hungry` is called when more is wanted than a moment ago; `waiting` are those who might fetch it."""

    def __init__(self, appetite: Appetite, hungry: Callable[[], None], waiting: Sized) -> None:
        self._appetite = appetite
        self._hungry = hungry
        self._waiting = waiting
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """Somebody waits for a reason to fetch."""
        if self._timer is None and (until_s := self._appetite.until_more_s()) is not None:
            self._timer = asyncio.get_running_loop().call_later(max(until_s, _AT_LEAST_S), self._look)

    def _look(self) -> None:
        self._timer = None
        self._hungry()
        if self._waiting:
            self.watch()
