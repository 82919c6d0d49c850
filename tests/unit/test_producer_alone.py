"""A lone enqueue on a queue that was announced takes a way of its own, awaited or blocking: nothing is lost on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import fakeredis
import pytest

from ferryman import BrokerUnavailable, Enqueued, InvalidTask, Queue, QueueFull, enqueue_steps, traffic
from ferryman.call import Call
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.pools import replaced

bills = Queue("bills")


@bills.task
def pay(number: int) -> None: ...


class Fate:
    """What was sent, and what becomes of the next replies: lost, or an error instead of the call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.lost = 0
        self.refused: list[Exception] = []

    def before(self, call: Call[Any]) -> None:
        self.calls.append(call.script or str(call.args[0]))
        if call.script and self.refused:
            raise self.refused.pop(0)

    def after(self, call: Call[Any]) -> None:
        if call.script and self.lost:
            self.lost -= 1
            raise BrokerUnavailable("the connection broke")


class FatefulLink(Link):
    def __init__(self, server: fakeredis.FakeServer, fate: Fate) -> None:
        super().__init__(fakeredis.FakeAsyncRedis(server=server))
        self.fate = fate

    async def run(self, call: Call[Any]) -> Any:
        self.fate.before(call)
        await asyncio.sleep(0)  # as a network would
        reply = await super().run(call)
        self.fate.after(call)
        return reply


class FatefulSyncLink(SyncLink):
    def __init__(self, server: fakeredis.FakeServer, fate: Fate) -> None:
        super().__init__(fakeredis.FakeRedis(server=server))
        self.fate = fate

    def run(self, call: Call[Any], meanwhile: Callable[[], None] | None = None) -> Any:
        self.fate.before(call)
        reply = super().run(call, meanwhile)
        self.fate.after(call)
        return reply


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def fate(server: fakeredis.FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fate]:
    monkeypatch.setattr(enqueue_steps, "RESEND_PAUSES_S", (0.0, 0.0))
    fate = Fate()
    with replaced(lambda: FatefulLink(server, fate), lambda: FatefulSyncLink(server, fate)):
        yield fate


Enqueue = Callable[..., Awaitable[Enqueued]]


@pytest.fixture(params=["awaited", "blocking"])
async def enqueue(request: pytest.FixtureRequest, fate: Fate) -> Enqueue:
    """One task after another, on a queue that was announced."""

    async def awaited(number: int, **options: Any) -> Enqueued:
        return await pay.options(**options).enqueue(number)

    async def blocking(number: int, **options: Any) -> Enqueued:
        return pay.options(**options).enqueue_sync(number)

    chosen = awaited if request.param == "awaited" else blocking
    await chosen(0)
    assert fate.calls == ["SADD", "enqueue"]
    fate.calls.clear()
    return chosen


def unaccounted_and_enqueued(server: fakeredis.FakeServer) -> tuple[int | None, int]:
    stats = SyncLink(fakeredis.FakeRedis(server=server)).run(Inspector("bills").stats())
    return stats.unaccounted, stats.enqueued


async def test_it_is_one_call(enqueue: Enqueue, fate: Fate) -> None:
    assert (await enqueue(1)).created
    assert fate.calls == ["enqueue"]


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_reply_is_harmless(enqueue: Enqueue, fate: Fate, server: fakeredis.FakeServer, lost: int) -> None:
    fate.lost = lost

    assert (await enqueue(1)).created, "a resend that finds its own task did create it"
    assert fate.calls == ["enqueue"] * (lost + 1)
    assert unaccounted_and_enqueued(server) == (0, 2)


async def test_after_a_lost_reply_nobody_claims_what_was_there_before(enqueue: Enqueue, fate: Fate) -> None:
    await enqueue(1, id="mine")
    fate.lost = 1

    assert await enqueue(2, id="mine") == Enqueued("mine", False)


async def test_a_redis_that_stays_away_is_reported_with_what_was_met_last(enqueue: Enqueue, fate: Fate) -> None:
    fate.refused = [BrokerUnavailable("first"), BrokerUnavailable("second"), BrokerUnavailable("third")]

    with pytest.raises(BrokerUnavailable, match="third"):
        await enqueue(1)
    assert len(fate.calls) == 3


async def test_a_refusal_is_not_sent_again(enqueue: Enqueue, fate: Fate) -> None:
    fate.refused = [QueueFull("full")]

    with pytest.raises(QueueFull):
        await enqueue(1)
    assert fate.calls == ["enqueue"]
    assert (await enqueue(2)).created, "and holds up nobody after it"


async def test_the_queue_is_announced_again_when_it_is_time(
    enqueue: Enqueue, fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "ANNOUNCE_EVERY_S", -1.0)
    for one in bills.producer._traffic.values():
        one.announced()

    await enqueue(1)

    assert fate.calls == ["SADD", "enqueue"]


async def test_it_is_logged_like_any_other(enqueue: Enqueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ferryman.producer")

    accepted = await enqueue(1)

    assert [record.task_id for record in caplog.records] == [accepted.id]  # type: ignore[attr-defined]


async def test_a_task_of_another_queue_disturbs_nobody_who_travels_at_the_same_time(fate: Fate) -> None:
    strange = Queue("elsewhere").named("pay", {"number": 1})

    results = await asyncio.gather(
        *(pay.enqueue(n) for n in range(3)), bills.producer.enqueue(strange), return_exceptions=True
    )

    assert [type(result) for result in results[3:]] == [InvalidTask]
    assert [getattr(result, "created", result) for result in results[:3]] == [True] * 3
