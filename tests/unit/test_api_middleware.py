"""Middlewares around enqueues; and headers, set by a producer or a middleware, that travel with a task to its runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import fakeredis
import pytest
from ferryman_bench import Bench

from ferryman import InvalidTask, Middleware, Outgoing, Queue
from ferryman.batches import BATCH_TASKS
from ferryman.headers import MAX_HEADERS_BYTES, checked_headers, trace_context, trace_id
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.options import EnqueueOptions, TaskOptions, headers_of
from ferryman.pools import replaced
from ferryman.task_view import task_view

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

request_id: ContextVar[str] = ContextVar("request_id")


class Stamp(Middleware):
    """Sends the present request's id with every task, and writes down what it saw."""

    def __init__(self, name: str = "stamp") -> None:
        self.name = name
        self.seen: list[object] = []

    @contextmanager
    def around_enqueue(self, tasks: Sequence[Outgoing]) -> Iterator[None]:
        for task in tasks:
            task.headers["request-id"] = request_id.get("none")
        self.seen.append([task.task_id for task in tasks])
        try:
            yield
        except Exception as error:
            self.seen.append(type(error).__name__)
            raise
        self.seen.append("sent")


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def link(server: fakeredis.FakeServer) -> Iterator[Link]:
    link = Link(fakeredis.FakeAsyncRedis(server=server))
    with replaced(lambda: link, lambda: SyncLink(fakeredis.FakeRedis(server=server))):
        yield link


def queue_with(*middlewares: Middleware) -> Queue:
    queue = Queue("emails", middlewares=middlewares)

    @queue.task
    def send(to: str) -> None: ...

    return queue


async def headers(link: Link, id: str) -> dict[str, str]:
    task = await link.run(Inspector("emails").get(id))
    assert task is not None
    return headers_of(task.options)


async def test_what_a_middleware_puts_into_the_headers_travels_with_the_task(link: Link) -> None:
    stamp = Stamp()
    queue = queue_with(stamp)
    request_id.set("r1")
    await queue.enqueue("send", {"to": "a"}, id="t1", max_attempts=3, headers={"Tenant": "7"})

    task = await link.run(Inspector("emails").get("t1"))
    assert task is not None
    assert TaskOptions.decode(task.options) == TaskOptions(3, headers={"tenant": "7", "request-id": "r1"})
    assert stamp.seen == [["t1"], "sent"]


@pytest.mark.parametrize("how", ["enqueue", "enqueue_sync", "enqueue_many", "enqueue_many_sync"])
async def test_every_way_in_goes_through_the_middlewares(link: Link, how: str) -> None:
    stamp = Stamp()
    queue = queue_with(stamp)
    match how:
        case "enqueue":
            await queue.enqueue("send", {"to": "a"}, id="t1")
        case "enqueue_sync":
            await asyncio.to_thread(queue.enqueue_sync, "send", {"to": "a"}, id="t1")
        case "enqueue_many":
            await queue.enqueue_many([queue.named("send", {"to": "a"}, id="t1")])
        case _:
            await asyncio.to_thread(queue.enqueue_many_sync, [queue.named("send", {"to": "a"}, id="t1")])

    assert stamp.seen == [["t1"], "sent"]
    assert await headers(link, "t1") == {"request-id": "none"}


async def test_of_many_tasks_each_batch_is_one_enqueue(link: Link) -> None:
    stamp = Stamp()
    queue = queue_with(stamp)
    await queue.enqueue_many(queue.named("send", {"to": "a"}, id=f"t{n}") for n in range(BATCH_TASKS + 1))

    assert stamp.seen == [[f"t{n}" for n in range(BATCH_TASKS)], "sent", [f"t{BATCH_TASKS}"], "sent"]


async def test_enqueues_at_the_same_time_each_have_their_own_context(link: Link) -> None:
    """They share a round trip, and nothing else."""
    stamp = Stamp()
    queue = queue_with(stamp)

    async def request(name: str) -> None:
        request_id.set(name)
        await queue.enqueue("send", {"to": "a"}, id=name)

    await asyncio.gather(*(request(f"r{n}") for n in range(5)))

    assert [await headers(link, f"r{n}") for n in range(5)] == [{"request-id": f"r{n}"} for n in range(5)]


async def test_an_error_of_the_enqueue_passes_through_the_middlewares_to_the_caller(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, inner = Stamp("outer"), Stamp("inner")
    queue = queue_with(outer, inner)

    async def full(*_: Any) -> None:
        raise OSError("broken")

    monkeypatch.setattr(link, "run", full)
    with pytest.raises(OSError, match="broken"):
        await queue.enqueue("send", {"to": "a"}, id="t1")

    assert outer.seen == inner.seen == [["t1"], "OSError"]


async def test_an_error_of_a_middleware_keeps_the_task_from_being_sent(link: Link) -> None:
    class Broken(Middleware):
        def around_enqueue(self, tasks: Sequence[Outgoing]) -> None:
            raise LookupError("no tenant")

    with pytest.raises(LookupError):
        await queue_with(Broken()).enqueue("send", {"to": "a"}, id="t1")

    assert await link.run(Inspector("emails").get("t1")) is None


async def test_an_enqueue_is_logged_for_those_who_want_to_know(link: Link, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ferryman.producer")
    for _ in range(2):
        await queue_with().enqueue("send", {"to": "a"}, id="t1", headers={"traceparent": TRACEPARENT})

    assert [record.getMessage() for record in caplog.records] == [
        "send enqueued",
        "send existed already, nothing was added",
    ]
    told = {name: caplog.records[0].__dict__[name] for name in ("task_id", "queue", "task", "trace_id")}
    assert told == {"task_id": "t1", "queue": "emails", "task": "send", "trace_id": TRACE}


async def test_headers_that_cannot_travel_are_refused_by_their_name(link: Link) -> None:
    for wrong in ({"no good": "x"}, {"a": "line\nbreak"}, {"a": "ü"}, {"a": "x" * MAX_HEADERS_BYTES}):
        with pytest.raises(InvalidTask, match=r"^headers: "):
            EnqueueOptions.of(headers=wrong)
    with pytest.raises(InvalidTask, match=r"the value of 'a'"):
        EnqueueOptions.of(headers={"a": 1})  # type: ignore[dict-item]

    class Chatty(Middleware):
        def around_enqueue(self, tasks: Sequence[Outgoing]) -> None:
            tasks[0].headers["a"] = "x" * MAX_HEADERS_BYTES

    with pytest.raises(InvalidTask, match=r"^headers: they hold 4097 bytes"):
        await queue_with(Chatty()).enqueue("send", {"to": "a"}, id="t1")


async def test_headers_stay_through_failures_deaths_and_a_revival(bench: Bench) -> None:
    options = EnqueueOptions.of(headers={"traceparent": TRACEPARENT}, max_attempts=3)
    await bench.register("w")
    await bench.enqueue("t", options=options.encoded)
    [held] = await bench.fetch("w")
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=0, error="no"))
    await bench.run(bench.broker.promote())
    await bench.fetch("w")
    await bench.look_until_dead("w")
    await bench.register("v")
    [held] = await bench.fetch("v")
    await bench.run(bench.broker.dead_letter("v", "t", held.token, error="no"))
    await bench.run(bench.broker.revive(["t"]))
    [held] = await bench.fetch("v")

    assert headers_of(held.options) == {"traceparent": TRACEPARENT}
    task = await bench.run(bench.inspector.get("t"))
    assert task is not None
    view = task_view(task)
    assert (view["headers"], view["options"]) == ({"traceparent": TRACEPARENT}, {"max_attempts": 3})


async def test_a_task_without_headers_carries_nothing(bench: Bench) -> None:
    await bench.enqueue("t", options=EnqueueOptions.of(headers={}).encoded)

    assert "options" not in (await bench.snapshot())["task:t"]
    task = await bench.run(bench.inspector.get("t"))
    assert task is not None
    assert task_view(task)["headers"] is None


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        TRACEPARENT.upper(),
        f"{TRACEPARENT}\n",
    ],
)
def test_what_is_no_trace_context_is_left_out(traceparent: str) -> None:
    assert trace_context(traceparent, "a=b") == {}
    assert trace_id({"traceparent": traceparent}) is None


def test_a_trace_context_is_taken_as_it_is() -> None:
    assert trace_context(TRACEPARENT, "a=b") == {"traceparent": TRACEPARENT, "tracestate": "a=b"}
    assert trace_context(TRACEPARENT, "x" * 513) == {"traceparent": TRACEPARENT}
    assert trace_context(f"01{TRACEPARENT[2:]}-later", "") == {"traceparent": f"01{TRACEPARENT[2:]}-later"}
    assert trace_id(checked_headers({"TraceParent": TRACEPARENT})) == TRACE
