"""Middlewares as users write them, as checkers see them. Read by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ferryman import Context, DeadTask, Middleware, Outgoing, Queue
from ferryman.otel import OpenTelemetry
from ferryman.sentry import Sentry


class Generators(Middleware):
    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        ctx.headers.get("tenant", ctx.trace_id)
        yield

    @contextmanager
    def around_enqueue(self, tasks: Sequence[Outgoing]) -> Generator[None]:
        for task in tasks:
            task.headers["tenant"] = task.task_id
        yield

    async def on_dead(self, dead: DeadTask) -> None:
        print(dead.task_id, dead.error)


class PlainOnes(Middleware):
    def around_run(self, ctx: Context[Any]) -> AbstractContextManager[object] | None:
        return nullcontext() if ctx.is_last_attempt else None

    def around_enqueue(self, tasks: Sequence[Outgoing]) -> None:
        return None

    def on_dead(self, dead: DeadTask) -> None:
        return None


class Wrong(Middleware):
    def around_run(self, ctx: str) -> None:  # type: ignore[override]
        return None


emails = Queue("emails", middlewares=[OpenTelemetry(new_trace=True), Sentry(), Generators(), PlainOnes()])
Queue("emails", middlewares=[Generators])  # type: ignore[list-item]
