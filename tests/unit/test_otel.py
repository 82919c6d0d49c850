"""The OpenTelemetry middleware with the real SDK: which spans there are, how they hang together, and what they say."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import fakeredis
import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from ferryman import Queue, Retry, context
from ferryman.inspector import Inspector
from ferryman.link import Link, SyncLink
from ferryman.logs import TaskFields
from ferryman.options import headers_of
from ferryman.otel import OpenTelemetry
from ferryman.pools import replaced


class Traced:
    """A queue with a tracer of its own."""

    def __init__(self, link: Link, *, new_trace: bool = False) -> None:
        self.link = link
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("application")
        self.middleware = OpenTelemetry(tracer_provider=provider, new_trace=new_trace)
        self.queue = Queue("emails", middlewares=[self.middleware])

    async def headers(self, id: str) -> dict[str, str]:
        task = await self.link.run(Inspector("emails").get(id))
        assert task is not None
        return headers_of(task.options)

    async def run(self, id: str, error: BaseException | None = None, attempt: int = 1) -> None:
        """A run of the task with this id, as a worker would surround it."""
        headers = await self.headers(id)
        ctx = context(task_id=id, queue="emails", task="send", attempt=attempt, deliveries=attempt, headers=headers)
        with nullcontext() if error is None else pytest.raises(type(error)), self.middleware.around_run(ctx):
            if error is not None:
                raise error

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def link() -> Iterator[Link]:
    server = fakeredis.FakeServer()
    link = Link(fakeredis.FakeAsyncRedis(server=server))
    with replaced(lambda: link, lambda: SyncLink(fakeredis.FakeRedis(server=server))):
        yield link


@pytest.fixture
def traced(link: Link) -> Traced:
    return Traced(link)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_request_enqueue_and_every_attempt_are_one_trace(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("POST /signup"):
        await traced.queue.enqueue("send", id="t1")
    await traced.run("t1", ValueError("boom"))
    await traced.run("t1", attempt=2)

    send, request, first, second = traced.spans()
    assert [span.name for span in (send, first, second)] == ["send emails", "process emails", "process emails"]
    assert len({span.context.trace_id for span in traced.spans()}) == 1
    assert send.parent == request.context
    for run in (first, second):
        assert run.parent is not None
        assert run.parent.span_id == send.context.span_id
        assert [link.context.span_id for link in run.links] == [send.context.span_id]


async def test_a_span_says_what_the_semantic_conventions_ask_for(traced: Traced) -> None:
    await traced.queue.enqueue("send", id="t1")
    await traced.run("t1", attempt=2)

    send, run = traced.spans()
    assert (send.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    both = {
        "messaging.system": "ferryman",
        "messaging.destination.name": "emails",
        "messaging.message.id": "t1",
        "ferryman.task.name": "send",
    }
    assert attributes(send) == both | {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    assert attributes(run) == both | {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "ferryman.task.attempt": 2,
        "ferryman.task.max_attempts": 5,
        "ferryman.task.deliveries": 2,
    }


async def test_tasks_of_a_batch_share_one_span(traced: Traced) -> None:
    await traced.queue.enqueue_many(traced.queue.named("send", id=f"t{n}") for n in range(3))
    await traced.run("t0")
    await traced.run("t2")

    send, first, last = traced.spans()
    assert attributes(send)["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in attributes(send)
    assert [span.parent and span.parent.span_id for span in (first, last)] == [send.context.span_id] * 2


async def test_runs_have_a_trace_of_their_own_when_told_so(link: Link) -> None:
    traced = Traced(link, new_trace=True)
    await traced.queue.enqueue("send", id="t1")
    await traced.run("t1")

    send, run = traced.spans()
    assert run.parent is None
    assert run.context.trace_id != send.context.trace_id
    assert [one.context.trace_id for one in run.links] == [send.context.trace_id]


async def test_a_task_that_came_without_a_trace_begins_one(traced: Traced) -> None:
    with traced.middleware.around_run(context(queue="emails", task="send")):
        pass

    [run] = traced.spans()
    assert (run.parent, list(run.links)) == (None, [])


async def test_a_run_does_not_hang_on_what_happens_to_be_going_on_in_the_worker(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("something else"), traced.middleware.around_run(context(queue="emails")):
        pass

    assert [span.parent for span in traced.spans()] == [None, None]


async def test_an_error_is_told_with_its_type_and_traceback(traced: Traced) -> None:
    await traced.queue.enqueue("send", id="t1")
    await traced.run("t1", ValueError("boom"))

    run = traced.spans()[-1]
    assert (run.status.status_code, run.status.description) == (StatusCode.ERROR, "ValueError: boom")
    assert attributes(run)["error.type"] == "ValueError"
    [event] = run.events
    assert event.name == "exception"
    assert "ValueError: boom" in str((event.attributes or {})["exception.stacktrace"])


@pytest.mark.parametrize(
    ("error", "event", "says"),
    [
        (Retry(delay=5, reason="not yet"), "retry", {"reason": "run again in 5 s: not yet", "spends_attempt": True}),
        (asyncio.CancelledError(), "stopped", {}),
    ],
)
async def test_what_is_no_error_is_an_event(
    traced: Traced, error: BaseException, event: str, says: dict[str, Any]
) -> None:
    await traced.queue.enqueue("send", id="t1")
    await traced.run("t1", error)

    run = traced.spans()[-1]
    assert run.status.status_code is StatusCode.UNSET
    assert [(one.name, dict(one.attributes or {})) for one in run.events] == [(event, says)]


async def test_an_enqueue_that_fails_is_an_error(traced: Traced, link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr(link, "run", broken)
    with pytest.raises(OSError, match="no route"):
        await traced.queue.enqueue("send", id="t1")

    [send] = traced.spans()
    assert (send.status.status_code, attributes(send)["error.type"]) == (StatusCode.ERROR, "OSError")


@pytest.mark.parametrize(("names", "travels"), [("a", True), ("ab", False)])
async def test_baggage_travels_unless_it_is_too_long_to(traced: Traced, names: str, travels: bool) -> None:
    carried = get_current()
    for name in names:
        carried = baggage.set_baggage(name, "x" * 2_500, carried)
    token = attach(carried)
    try:
        await traced.queue.enqueue("send", id="t1")
    finally:
        detach(token)

    headers = await traced.headers("t1")
    assert ("baggage" in headers, "traceparent" in headers) == (travels, True)


async def test_log_records_inside_a_span_carry_its_ids(traced: Traced) -> None:
    record = logging.makeLogRecord({"msg": "hello"})
    with traced.middleware.around_run(context(queue="emails")):
        TaskFields().filter(record)

    [run] = traced.spans()
    assert record.__dict__["trace_id"] == f"{run.context.trace_id:032x}"
    assert record.__dict__["span_id"] == f"{run.context.span_id:016x}"
    outside = logging.makeLogRecord({"msg": "hello"})
    TaskFields().filter(outside)
    assert "trace_id" not in outside.__dict__


def test_nothing_of_it_is_imported_or_missed_unless_it_is_wanted() -> None:
    """Neither by the library, nor by the worker or the command line; redis-py looks for OpenTelemetry by itself."""
    program = """
import sys
sys.modules["opentelemetry"] = sys.modules["sentry_sdk"] = None  # as if they were not installed
import ferryman, ferryman.queue, ferryman.testing, ferryman.cli.main, ferryman.cli.enqueue, ferryman.cli.show
import ferryman_worker.command, ferryman_worker.launch, ferryman_worker.processor
ferryman.Queue("emails", middlewares=[ferryman.Middleware()])
print([name for name in ("ferryman.otel", "ferryman.sentry") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
