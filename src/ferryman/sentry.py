"""Sentry: reports what handlers raise, with the task it happened in. The extra `ferryman[sentry]` has what it needs.

Each run has a scope of its own, so breadcrumbs and tags of one task never show up in another's report, however many
run at the same time. The application calls `sentry_sdk.init` itself.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import sentry_sdk
from sentry_sdk.utils import event_from_exception

from ferryman.context import Context
from ferryman.logs import worker_name
from ferryman.middleware import Middleware
from ferryman.retry import Retry

#: A pool process may be killed at any time, so a report leaves it at once, or is given up.
_FLUSH_S: Final = 2.0


class Sentry(Middleware):
    """Reports errors of a queue's tasks: `Queue("emails", middlewares=[Sentry()])`.

    Every attempt that raises is reported, tagged with its number; `Retry` is a wish and not reported.
    """

    def __init__(self) -> None:
        self._process = os.getpid()

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        """An isolation scope, and a report of what comes out of it."""
        with sentry_sdk.isolation_scope() as scope:
            scope.clear_breadcrumbs()
            scope.set_transaction_name(f"{ctx.queue}/{ctx.task}", source="task")
            scope.set_tag("ferryman.queue", ctx.queue)
            scope.set_tag("ferryman.task", ctx.task)
            scope.set_tag("ferryman.task_id", ctx.task_id)
            scope.set_tag("ferryman.attempt", str(ctx.attempt))
            scope.set_tag("ferryman.last_attempt", "yes" if ctx.is_last_attempt else "no")
            scope.set_context(
                "ferryman",
                {
                    "worker": worker_name(),
                    "max_attempts": ctx.max_attempts,
                    "deliveries": ctx.deliveries,
                    "enqueued_at": ctx.enqueued_at.isoformat(),
                    "trace_id": ctx.trace_id,
                },
            )
            try:
                yield
            except Retry:
                raise
            except Exception as error:
                self._report(error)
                raise

    def _report(self, error: Exception) -> None:
        options = sentry_sdk.get_client().options
        event, hint = event_from_exception(
            error, client_options=options, mechanism={"type": "ferryman", "handled": False}
        )
        sentry_sdk.capture_event(event, hint=hint)
        if os.getpid() != self._process:
            sentry_sdk.flush(_FLUSH_S)
