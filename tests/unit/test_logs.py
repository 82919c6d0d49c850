"""Log records: which task they are about, in text and as JSON, and that no task's record shows another's."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ferryman import Context, context
from ferryman import logs as logs_module
from ferryman.cause import Cause
from ferryman.context import current_run
from ferryman.logs import TaskFields, add_fields, configure, name_worker
from ferryman.protocol import Recovery
from ferryman.recovery_log import tell_recovered

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RUN = context(
    task_id="t1",
    queue="emails",
    task="send",
    attempt=2,
    headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"},
)
OF_THE_RUN = {"task_id": "t1", "queue": "emails", "task": "send", "attempt": 2, "trace_id": TRACE}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this process logs, as a worker's would."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", "INFO", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this test alone."""
    monkeypatch.setattr(logs_module, "_process", logs_module._Process())


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fields(line: dict[str, Any]) -> dict[str, Any]:
    """What is added to every record."""
    return {name: value for name, value in line.items() if name not in ("time", "level", "logger", "message")}


def within(run: Context[Any], *say: str) -> None:
    """Any library, inside a handler."""
    token = current_run.set(run)
    for words in say:
        logging.getLogger("some.library").info(words)
    current_run.reset(token)


def test_what_is_logged_inside_a_handler_says_which_task_it_is_about(stream: io.StringIO) -> None:
    name_worker("w1")
    within(RUN, "hello")
    logging.getLogger("some.library").info("outside")

    inside, outside = lines(stream)
    assert inside["message"] == "hello"
    assert fields(inside) == OF_THE_RUN | {"worker": "w1"}
    assert fields(outside) == {}


async def test_tasks_that_run_at_the_same_time_keep_their_records_apart(stream: io.StringIO) -> None:
    both = asyncio.Barrier(3)

    async def handle(task_id: str) -> None:
        current_run.set(context(task_id=task_id, queue="emails"))
        await both.wait()
        logging.getLogger("some.library").info("from %s", task_id)

    thread = threading.Thread(target=within, args=(context(task_id="t3"), "from t3"))
    thread.start()
    await asyncio.gather(handle("t1"), handle("t2"), both.wait())
    thread.join()

    assert {line["message"] for line in lines(stream)} == {"from t1", "from t2", "from t3"}
    assert all(line["message"] == f"from {line['task_id']}" for line in lines(stream))


def test_a_record_keeps_the_fields_that_it_was_given(stream: io.StringIO) -> None:
    """Of another task, too: what a handler enqueues is not the task that it runs."""
    token = current_run.set(RUN)
    RUN.log.info("hello", extra={"order": 7})
    logging.getLogger("ferryman.producer").info("enqueued", extra={"task_id": "t2", "queue": "bills"})
    current_run.reset(token)

    own, other = lines(stream)
    assert fields(own) == OF_THE_RUN | {"order": 7}
    assert fields(other) == {"task_id": "t2", "queue": "bills"}


def test_others_may_add_fields_and_their_trace_goes_before_the_task_s(stream: io.StringIO) -> None:
    def present() -> dict[str, object]:
        return {"trace_id": "of the present span", "attempt": "not theirs to say"}

    add_fields(present)
    add_fields(present)
    within(RUN, "hello")

    [line] = lines(stream)
    assert fields(line) == OF_THE_RUN | {"trace_id": "of the present span"}


def test_of_a_dead_worker_s_tasks_each_has_a_line_of_its_own(stream: io.StringIO) -> None:
    tasks = (("t1", "recovered"), ("t2", "crashed"), ("t3", "dead"))
    reply = Recovery("dead", 2, 1, 0, Cause.OOM_KILLED, tasks)
    tell_recovered(logging.getLogger("ferryman_scheduler.recoverer"), "emails", "w1", reply)

    assert [(line["task_id"], line["level"]) for line in lines(stream)] == [
        ("t1", "info"),
        ("t2", "warning"),
        ("t3", "error"),
    ]
    assert all((line["worker"], line["cause"]) == ("w1", "oom_killed") for line in lines(stream))


def test_text_has_the_same_at_the_end_of_the_line() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs_module.TextFormatter())
    handler.addFilter(TaskFields())
    record = logging.makeLogRecord({"msg": "hello", "name": "some.library", "levelname": "INFO"})
    token = current_run.set(RUN)
    handler.handle(record)
    current_run.reset(token)

    assert stream.getvalue().endswith(
        f"some.library: hello task_id=t1 queue=emails task=send attempt=2 trace_id={TRACE}\n"
    )
