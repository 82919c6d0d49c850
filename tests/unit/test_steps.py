"""Steps: what is prepared ahead keeps its order and its errors, and is prepared while Redis works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from ferryman.call import Call, command
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link, SyncLink
from ferryman.new_task import Enqueued, NewTask
from ferryman.pools import replaced
from ferryman.producer import Producer
from ferryman.sending import WorkItem
from ferryman.steps import Ahead, Overlapped, Steps, drive, drive_sync

PING = command("PING", read=str)


class Scribe:
    """A link that notes what happens; its reply comes last, as Redis' would. `refuses` is its one answer."""

    def __init__(self, refuses: BrokerUnavailable | None = None) -> None:
        self.seen: list[str] = []
        self._refuses = refuses

    def run(self, call: Call[Any], meanwhile: Callable[[], None] | None = None) -> Any:
        self.seen.append("sent")
        if meanwhile:
            meanwhile()
        return self._answer()

    def close(self) -> None:
        """Nothing to close."""

    def _answer(self) -> str:
        self.seen.append("answered")
        if self._refuses:
            raise self._refuses
        return "PONG"


class AsyncScribe(Scribe):
    """The same for asyncio."""

    async def run(self, call: Call[Any]) -> str:  # type: ignore[override]
        self.seen.append("sent")
        await asyncio.sleep(0)
        return self._answer()


def conversation(scribe: Scribe) -> Steps[str]:
    reply: str = yield Overlapped(PING, lambda: scribe.seen.append("prepared"))
    return reply


async def test_the_next_batch_is_prepared_between_sending_and_waiting() -> None:
    blocking, waiting = Scribe(), AsyncScribe()

    assert drive_sync(cast("SyncLink", blocking), conversation(blocking)) == "PONG"
    assert await drive(cast("Link", waiting), conversation(waiting)) == "PONG"

    assert blocking.seen == waiting.seen == ["sent", "prepared", "answered"]


async def test_an_error_of_an_overlapped_call_is_the_steps_to_handle() -> None:
    def forgiving(scribe: Scribe) -> Steps[str]:
        try:
            return (yield from conversation(scribe))
        except BrokerUnavailable:
            return "forgiven"

    lost = BrokerUnavailable("no reply")
    blocking, waiting = Scribe(lost), AsyncScribe(lost)

    assert drive_sync(cast("SyncLink", blocking), forgiving(blocking)) == "forgiven"
    assert await drive(cast("Link", waiting), forgiving(waiting)) == "forgiven"


def counted(taken: list[int]) -> Iterator[int]:
    for number in range(3):
        if number == 2:
            raise ValueError("no third")
        taken.append(number)
        yield number


def test_ahead_keeps_the_order_and_raises_an_error_when_its_turn_comes() -> None:
    taken: list[int] = []
    ahead = Ahead(counted(taken))

    assert taken == []
    ahead.look()
    ahead.look()
    assert taken == [0]
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.look()
    with pytest.raises(ValueError, match="no third"):
        next(ahead)


class Counting(Scribe):
    """Notes how many items were taken when it sends and when it answers."""

    def __init__(self, taken: list[int]) -> None:
        super().__init__()
        self.address = "here"
        self.counts: list[tuple[str, int]] = []
        self._taken = taken

    def run(self, call: Call[Any], meanwhile: Callable[[], None] | None = None) -> Any:
        if call.script != "enqueue":
            return 1
        self.counts.append(("sent", len(self._taken)))
        if meanwhile:
            meanwhile()
        self.counts.append(("answered", len(self._taken)))
        return [Enqueued(str(word), True) for word in call.args if str(word).startswith("id-")]


def test_of_many_the_next_batch_is_made_while_redis_works_and_each_item_is_taken_once() -> None:
    taken: list[int] = []

    def items() -> Iterator[WorkItem]:
        for number in range(300):
            taken.append(number)
            yield WorkItem("q", NewTask(f"id-{number}", "t", b"{}"), own_id=True)

    link = Counting(taken)
    with replaced(lambda: cast("Link", link), lambda: cast("SyncLink", link)):
        replies = Producer("q").enqueue_many_sync(items())

    assert [reply.id for reply in replies] == [f"id-{number}" for number in range(300)]
    # The first of the next batch is what tells that one is full.
    assert link.counts[:4] == [("sent", 126), ("answered", 251), ("sent", 251), ("answered", 300)]
    assert taken == list(range(300))


def test_ahead_ends_as_its_source_does() -> None:
    ahead = Ahead(iter("ab"))

    ahead.look()
    assert list(ahead) == ["a", "b"]
    ahead.look()
    assert list(ahead) == []
