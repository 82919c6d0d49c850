"""The Sentry middleware with the real SDK and a transport that keeps what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from ferryman import Context, Retry, context
from ferryman.sentry import Sentry


class Kept(Transport):
    """Sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        if event := envelope.get_event():
            self.events.append(event)


@pytest.fixture
def kept() -> Iterator[Kept]:
    transport = Kept()
    sentry_sdk.init(dsn="http://key@localhost/1", transport=transport, default_integrations=False)
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.init()


def run_of(task_id: str, attempt: int = 1) -> Context[None]:
    return context(task_id=task_id, queue="emails", task="send", attempt=attempt, deliveries=attempt)


def tags(event: Any) -> dict[str, str]:
    return {name.removeprefix("ferryman."): value for name, value in event["tags"].items()}


def test_what_a_handler_raises_is_reported_with_its_task(kept: Kept) -> None:
    with pytest.raises(ValueError, match="boom"), Sentry().around_run(run_of("t1", attempt=5)):
        raise ValueError("boom")

    [event] = kept.events
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ValueError", "boom")
    assert error["mechanism"] == {"type": "ferryman", "handled": False}
    assert error["stacktrace"]["frames"][-1]["function"] == "test_what_a_handler_raises_is_reported_with_its_task"
    assert tags(event) == {
        "queue": "emails", "task": "send", "task_id": "t1", "attempt": "5", "last_attempt": "yes",
    }  # fmt: skip
    assert event["transaction"] == "emails/send"
    assert event["contexts"]["ferryman"]["max_attempts"] == 5


@pytest.mark.parametrize("error", [Retry(delay=1), asyncio.CancelledError(), None])
def test_what_is_no_error_is_not_reported(kept: Kept, error: BaseException | None) -> None:
    with nullcontext() if error is None else pytest.raises(type(error)), Sentry().around_run(run_of("t1")):
        if error is not None:
            raise error

    assert kept.events == []


async def test_tasks_that_run_at_the_same_time_do_not_see_each_other(kept: Kept) -> None:
    both = asyncio.Barrier(2)

    async def handle(task_id: str) -> None:
        with Sentry().around_run(run_of(task_id)):
            sentry_sdk.add_breadcrumb(message=f"seen by {task_id}")
            sentry_sdk.set_tag("customer", task_id)
            await both.wait()
            raise ValueError(task_id)

    await asyncio.gather(handle("t1"), handle("t2"), return_exceptions=True)

    assert sorted(event["exception"]["values"][0]["value"] for event in kept.events) == ["t1", "t2"]
    for event in kept.events:
        own = event["exception"]["values"][0]["value"]
        assert (tags(event)["task_id"], event["tags"]["customer"]) == (own, own)
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == [f"seen by {own}"]
