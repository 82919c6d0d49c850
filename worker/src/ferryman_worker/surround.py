"""Surround: a handler's call with the queue's middlewares around it, where the handler runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ferryman.context import Context
from ferryman.middleware import Around, entered
from ferryman_worker.outcome import TimedOut

if TYPE_CHECKING:
    from ferryman_worker.slot import Slot


async def run_coroutine(
    around: Sequence[Around[Context[Any]]], run: Context[Any], call: Callable[[], Coroutine[Any, Any, Any]], slot: Slot
) -> Any:
    """In the loop. The middlewares see a timeout as TimedOut, and not as the cancellation that brings it about."""
    with entered(around, run):
        try:
            return await call()
        except asyncio.CancelledError as error:
            if slot.timed_out:
                raise TimedOut(slot.timeout_s or 0.0).with_traceback(error.__traceback__) from None
            raise


def run_plain(around: Sequence[Around[Context[Any]]], run: Context[Any], call: Callable[[], Any]) -> Any:
    """In a thread or in a pool process."""
    with entered(around, run):
        return call()
