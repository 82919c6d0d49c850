"""OpenTelemetry: a span for every enqueue and every run, in one trace. The extra `ferryman[otel]` has what it needs.

By the semantic conventions for messaging. The run's span has a link to the span of its enqueue and, as a run is of one
task, is its child too, so that request, enqueue and every attempt are one trace; `new_trace=True` leaves it at the
link, for tasks that wait so long that one trace of it all would say nothing. Log records get trace_id and span_id.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context as Baggage
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, Status, StatusCode, TracerProvider, set_span_in_context

from ferryman.context import Context
from ferryman.headers import MAX_HEADERS_BYTES, headers_bytes
from ferryman.logs import add_fields, worker_name
from ferryman.middleware import Middleware, Outgoing
from ferryman.retry import Retry
from ferryman.version import __version__


class OpenTelemetry(Middleware):
    """Traces a queue: `Queue("emails", middlewares=[OpenTelemetry()])`.

    `tracer_provider`: the global one unless given. Set up its exporter where the process starts.
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None, new_trace: bool = False) -> None:
        self._tracer = trace.get_tracer("ferryman", __version__, tracer_provider)
        self._new_trace = new_trace
        add_fields(_present_ids)

    @contextmanager
    def around_enqueue(self, tasks: Sequence[Outgoing]) -> Generator[None]:
        """Span `send <queue>`; of one task with its id, of a batch with its size. All of a batch share its context."""
        queue = tasks[0].queue
        attributes = _attributes("send", queue)
        if len(tasks) == 1:
            attributes |= {"messaging.message.id": tasks[0].task_id, "ferryman.task.name": tasks[0].task}
        else:
            attributes["messaging.batch.message_count"] = len(tasks)
        with self._span(f"send {queue}", SpanKind.PRODUCER, attributes):
            for task in tasks:
                _inject(task.headers)
            yield

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        """Span `process <queue>`, one for each attempt."""
        came_with = propagate.extract(ctx.headers, context=Baggage())
        origin = trace.get_current_span(came_with).get_span_context()
        attributes = _attributes("process", ctx.queue) | {
            "messaging.message.id": ctx.task_id,
            "ferryman.task.name": ctx.task,
            "ferryman.task.attempt": ctx.attempt,
            "ferryman.task.max_attempts": ctx.max_attempts,
            "ferryman.task.deliveries": ctx.deliveries,
        }
        if worker := worker_name():
            attributes["messaging.client.id"] = worker
        with self._span(
            f"process {ctx.queue}",
            SpanKind.CONSUMER,
            attributes,
            set_span_in_context(INVALID_SPAN, came_with) if self._new_trace else came_with,
            [Link(origin)] if origin.is_valid else [],
        ):
            yield

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
        context: Baggage | None = None,
        links: Sequence[Link] = (),
    ) -> Generator[None]:
        with self._tracer.start_as_current_span(
            name,
            context,
            kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Retry as wish:  # no error: the handler asks for another run
                span.add_event("retry", {"reason": str(wish), "spends_attempt": wish.spend})
                raise
            except Exception as error:
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, f"{type(error).__qualname__}: {error}"))
                span.set_attribute("error.type", type(error).__qualname__)
                raise
            except BaseException:  # stopped from outside: the task goes back, and runs again
                span.add_event("stopped")
                raise


def _attributes(operation: str, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": "ferryman",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
    }


def _inject(headers: dict[str, str]) -> None:
    """What the configured propagators have to say; baggage that is too long stays behind, the task does not."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    if headers_bytes(headers | carrier) > MAX_HEADERS_BYTES:
        carrier.pop("baggage", None)
    headers.update(carrier)


def _present_ids() -> Mapping[str, object]:
    present = trace.get_current_span().get_span_context()
    if not present.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(present.trace_id), "span_id": trace.format_span_id(present.span_id)}
