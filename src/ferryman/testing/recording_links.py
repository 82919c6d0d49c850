"""Recording links: what producers use in a test. They write down what was enqueued, and see the test's clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from ferryman.call import Call
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.new_task import Enqueued
from ferryman.task import Task
from ferryman.testing.clock import load_timed

T = TypeVar("T")

#: Called with each task that was created, just after it was. A completed task forgets its arguments, this does not.
Record = Callable[[Task], None]


class RecordingLink(Link):
    """A link for one loop."""

    def __init__(self, client: Any, record: Record) -> None:
        super().__init__(client, load_timed)
        self._record = record

    async def run(self, call: Call[T]) -> T:
        """Run one call."""
        result = await super().run(_confirmed(call))
        for reads in _created(call, result):
            if (task := await super().run(reads)) is not None:
                self._record(task)
        return result


class RecordingSyncLink(SyncLink):
    """A link for any thread."""

    def __init__(self, client: Any, record: Record) -> None:
        super().__init__(client, load_timed)
        self._record = record

    def run(self, call: Call[T], meanwhile: Callable[[], None] | None = None) -> T:
        """Run one call."""
        result = super().run(_confirmed(call), meanwhile)
        for reads in _created(call, result):
            if (task := super().run(reads)) is not None:
                self._record(task)
        return result


def _confirmed(call: Call[T]) -> Call[T]:
    """A wait for replicas is answered by as many as it asks for: a test's Redis has none."""
    if not call.then:
        return call
    replicas = call.then[1]
    return replace(call, then=(), read=lambda reply: call.read((reply, replicas)))


def _created(call: Call[Any], result: Any) -> Iterator[Call[Task | None]]:
    if call.script != "enqueue":
        return
    replies: list[Enqueued] = result
    queue = call.keys[0].split("{", 1)[1].split("}", 1)[0]
    for reply in replies:
        if reply.created:
            yield Inspector(queue).get(reply.id)
