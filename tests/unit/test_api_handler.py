"""Handlers and queues: what the decorator accepts, refuses and leaves in the function's place."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

import ferryman
from ferryman import Backoff, Context, DuplicateHandler, InvalidHandler, InvalidTask, Queue, context
from ferryman.manifest import Manifest, TaskManifest, nearest
from ferryman.protocol import PROTOCOL


class Pool:
    name = "fake"


queue = Queue("handlers")


@queue.task(max_attempts=5, timeout="30s", backoff=Backoff(initial_s=2), dead_letter_on=(KeyError,))
async def send(ctx: Context[Pool], to: str) -> str:
    """Send a mail."""
    return f"{ctx.deps.name} {ctx.attempt} {to}"


@queue.task
def plain(n: int = 1) -> int:
    return n + 1


async def test_a_plain_call_calls_the_function() -> None:
    assert await send(context(Pool()), "a@b") == "fake 1 a@b"
    assert plain(2) == 3


def test_a_handler_knows_how_it_wants_to_be_run() -> None:
    assert (send.name, send.queue, send.is_async, send.run_in, send.wants_context) == (
        "send",
        queue,
        True,
        "loop",
        True,
    )
    assert (send.max_attempts, send.timeout_s, send.backoff) == (5, 30.0, Backoff(initial_s=2))
    assert send.dead_letter_on == (KeyError,)
    assert (plain.is_async, plain.run_in, plain.wants_context, plain.max_attempts) == (False, "thread", False, None)
    assert queue.handlers == {"send": send, "plain": plain}
    assert (send.__name__, send.__doc__, send.__wrapped__) == ("send", "Send a mail.", send.function)  # type: ignore[attr-defined]


def test_two_handlers_of_one_name_are_an_error_that_names_both_places() -> None:
    queue = Queue("twice")

    @queue.task
    def work() -> None: ...

    def other() -> None: ...

    with pytest.raises(DuplicateHandler) as caught:
        queue.task(name="work")(other)
    assert "test_api_handler" in str(caught.value)
    assert "work (line" in str(caught.value)
    assert "other (line" in str(caught.value)
    assert queue.handlers == {"work": work}
    Queue("another").task(name="work")(other)


def async_one() -> Any:
    async def work() -> None: ...

    return work


def plain_one() -> Any:
    def work() -> None: ...

    return work


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (plain_one, {"timeout": "3s"}, "a thread can't be killed"),
        (plain_one, {"run_in": "thread", "timeout": 3}, "a thread can't be killed"),
        (plain_one, {"run_in": "loop"}, "would block the loop"),
        (plain_one, {"run_in": "fiber"}, "none of 'loop', 'thread' and 'process'"),
        (async_one, {"run_in": "process"}, "an async function runs in the loop"),
        (async_one, {"run_in": "thread"}, "an async function runs in the loop"),
        (plain_one, {"dead_letter_on": (3,)}, "exception classes"),
        (plain_one, {"dead_letter_on": KeyError}, "dead_letter_on=.*a tuple"),
    ],
)
def test_an_option_that_cannot_be_kept_is_refused_with_the_reason(make: Any, options: Any, says: str) -> None:
    queue = Queue("refused")
    with pytest.raises(InvalidHandler, match=says):
        queue.task(**options)(make())
    assert queue.handlers == {}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"timeout": "soon"}, "timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"name": "a b"}, "task"),
        ({"name": ""}, "task"),
    ],
)
def test_a_wrong_option_is_named(options: Any, field: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        Queue("refused").task(**options)(plain_one())
    assert caught.value.field == field


def test_processes_and_coroutines_may_have_a_timeout_and_threads_not_even_by_option() -> None:
    queue = Queue("timeouts")
    assert queue.task(run_in="process", timeout=3)(plain_one()).timeout_s == 3
    with pytest.raises(InvalidTask, match="a thread can't be killed"):
        plain.options(timeout="3s")
    assert send.options(timeout="3s").task("a@b").task.options == b'{"timeout_s":3.0}'


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(InvalidTask, match="<lambda>"):
        Queue("refused").task(lambda: None)
    assert Queue("named").task(name="work")(lambda: None).name == "work"


def test_queue_names_and_lifespans_are_checked() -> None:
    async def forgot_the_decorator() -> AsyncGenerator[int]:
        yield 1

    with pytest.raises(InvalidTask):
        Queue("Emails_")
    with pytest.raises(TypeError, match="@asynccontextmanager"):
        Queue("emails", lifespan=forgot_the_decorator)  # type: ignore[arg-type]
    lifespan = asynccontextmanager(forgot_the_decorator)
    assert Queue("emails", lifespan=lifespan).lifespan is lifespan


def test_a_context_tells_about_its_run(caplog: pytest.LogCaptureFixture) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    ctx = context(Pool(), task_id="t1", queue="q", task="send", attempt=2, max_attempts=2, enqueued_at=at)
    assert (ctx.task_id, ctx.attempt, ctx.enqueued_at, ctx.is_last_attempt) == ("t1", 2, at, True)
    with caplog.at_level("INFO", "ferryman.task"):
        ctx.log.info("sent %s", 1, extra={"to": "a"})
    record = caplog.records[0].__dict__
    assert {name: record[name] for name in ("task_id", "queue", "task", "attempt", "to")} == {
        "task_id": "t1", "queue": "q", "task": "send", "attempt": 2, "to": "a"
    }  # fmt: skip
    assert context().deps is None


def test_the_manifest_says_what_a_worker_can_run() -> None:
    manifest = queue.manifest("acme.tasks")
    assert manifest.tasks["send"] == TaskManifest(
        "send",
        send.schema(),
        max_attempts=5,
        timeout_s=30.0,
        app="acme.tasks",
        version=ferryman.__version__,
        protocol=PROTOCOL,
        run_in="loop",
    )
    assert (manifest.app, manifest.protocol) == ("acme.tasks", PROTOCOL)
    read = {name: TaskManifest.decode(entry) for name, entry in manifest.encoded()}
    assert Manifest("acme.tasks", read) == manifest
    assert TaskManifest.decode(b'{"name": "old", "colour": 1}') == TaskManifest("old", version="", protocol=0)
    with pytest.raises(InvalidTask):
        TaskManifest.decode(b"{")


def test_the_nearest_name_helps_who_mistyped() -> None:
    assert nearest("sned", ["send", "plain"]) == "send"
    assert nearest("zzz", ["send", "plain"]) is None


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert ferryman.__version__ == version("ferryman")
    assert set(ferryman.__all__) <= set(dir(ferryman))


def test_importing_and_defining_reads_no_environment_and_opens_no_socket() -> None:
    program = """
import os, socket
class Closed(dict):
    def get(self, key, default=None):
        assert not str(key).startswith("FERRYMAN"), key
        return super().get(key, default)
    __getitem__ = lambda self, key: self.get(key)
def refuse(*args, **kwargs): raise AssertionError("a socket was opened")
os.environ = Closed(os.environ)
socket.socket.connect = refuse
from ferryman import Queue
q = Queue("emails")
@q.task
def send(to: str) -> None: ...
send.task("a"); q.manifest("app")
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_notebook_cell_may_be_run_again_and_a_script_may_not_say_a_name_twice() -> None:
    program = """
from ferryman import Queue
q = Queue("emails")
cell = "@q.task\\ndef send(to: str) -> None: ...\\n"
exec(cell); first = q.handlers["send"]
exec(cell); assert q.handlers["send"] is not first
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    failed = subprocess.run([sys.executable, "/dev/stdin"], input=program, text=True, capture_output=True, check=False)
    assert "DuplicateHandler" in failed.stderr
