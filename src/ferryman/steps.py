"""Steps: what to do over a link, said once as a generator and driven by either kind of link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from ferryman.call import Call
from ferryman.errors import BrokerError
from ferryman.link import Link, SyncLink

T = TypeVar("T")


class Overlapped(msgspec.Struct, frozen=True):
    """Run `call`, and do something else while Redis works on it: `meanwhile` must not raise."""

    call: Call[Any]
    meanwhile: Callable[[], None]


#: What to do next: run a call and hand its reply back, or wait so many seconds.
Step = Call[Any] | Overlapped | float
Steps = Generator[Step, Any, T]


class Ahead(Generic[T]):
    """An iterator that can be asked to have its next item ready; what fails then is raised when its turn comes."""

    def __init__(self, source: Iterator[T]) -> None:
        self._source = source
        self._ready: list[T] = []
        self._failed: Exception | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self.look()
        if self._failed is not None:
            raise self._failed
        return self._ready.pop()

    def look(self) -> None:
        """Have the next item ready. Never raises an Exception."""
        if self._ready or self._failed is not None:
            return
        try:
            self._ready.append(next(self._source))
        except Exception as error:  # noqa: BLE001  # kept for its turn, StopIteration too
            self._failed = error


async def drive(link: Link, steps: Steps[T]) -> T:
    """Run the steps over an async link and return their result."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Call):
                    reply = await link.run(step)
                elif isinstance(step, Overlapped):
                    reply = await _overlapped(link, step)
                else:
                    await asyncio.sleep(step)
                    reply = None
            except BrokerError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


def drive_sync(link: SyncLink, steps: Steps[T]) -> T:
    """Run the steps over a sync link and return their result."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Call):
                    reply = link.run(step)
                elif isinstance(step, Overlapped):
                    reply = link.run(step.call, step.meanwhile)
                else:
                    time.sleep(step)
                    reply = None
            except BrokerError as error:
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as end:
        result: T = end.value
        return result


async def _overlapped(link: Link, step: Overlapped) -> Any:
    running = asyncio.ensure_future(link.run(step.call))
    try:
        await asyncio.sleep(0)  # now it is on its way
        step.meanwhile()
        return await running
    except BaseException:
        running.cancel()
        raise
