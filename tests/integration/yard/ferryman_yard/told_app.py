"""An app whose tasks are told of: spans, Sentry's reports and dead tasks go to files, and handlers log as people do.

Every task fails when it is told on which attempts to.
"""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sentry_sdk
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from ferryman import Backoff, Context, DeadTask, Middleware, Queue
from ferryman.otel import OpenTelemetry
from ferryman.sentry import Sentry

_FOLDER = Path(os.environ["YARD_LOG"]).parent

logger = logging.getLogger("acme.shop")


def keep(name: str, /, **fields: Any) -> None:
    """One line of JSON in the file of that name, by every process of the worker."""
    with open(_FOLDER / f"{name}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")


class SpansToFile(SpanExporter):
    """As JSON, one per line."""

    def export(self, spans: Any) -> SpanExportResult:
        for span in spans:
            keep("spans", **json.loads(ReadableSpan.to_json(span)))
        return SpanExportResult.SUCCESS


class ReportsToFile(Transport):
    """Sentry's."""

    def capture_envelope(self, envelope: Envelope) -> None:
        if event := envelope.get_event():
            keep("reports", tags=event["tags"], error=event["exception"]["values"][-1]["value"])


class Counting(Middleware):
    """Of the kind that people write."""

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Iterator[None]:
        keep("around", task_id=ctx.task_id, step="before", pid=os.getpid())
        try:
            yield
        finally:
            keep("around", task_id=ctx.task_id, step="after", pid=os.getpid())

    def on_dead(self, dead: DeadTask) -> None:
        keep("dead", task_id=dead.task_id, attempt=dead.attempt, error=dead.error.splitlines()[0])


_provider = TracerProvider()
_provider.add_span_processor(BatchSpanProcessor(SpansToFile(), schedule_delay_millis=50))
sentry_sdk.init(dsn="http://key@localhost/1", transport=ReportsToFile(), default_integrations=False)

queue = Queue("bench", middlewares=[OpenTelemetry(tracer_provider=_provider), Sentry(), Counting()])
_soon = Backoff(initial_s=0.05, max_s=0.05)


@queue.task(max_attempts=3, backoff=_soon)
async def in_loop(ctx: Context[None], fails: int = 0) -> None:
    work(ctx, fails)


@queue.task(max_attempts=3, backoff=_soon)
def in_thread(ctx: Context[None], fails: int = 0) -> None:
    work(ctx, fails)


@queue.task(max_attempts=3, backoff=_soon, run_in="process")
def in_process(ctx: Context[None], fails: int = 0) -> None:
    work(ctx, fails)


@queue.task(run_in="process")
def deadly() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(ctx: Context[None], fails: int) -> None:
    """Knows nothing of Ferryman, but for the number of the attempt."""
    logger.info("working")
    if ctx.attempt <= fails:
        raise ValueError(f"attempt {ctx.attempt} failed")
