"""Child: runs the `run_in="process"` tasks of one queue, one at a time, in a process that may be killed.

Reads an assignment, runs the handler, reports in words: exceptions never travel as objects. Its lifespan is
entered when the first handler asks for a Context: a child is a worker process of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec

from ferryman.context import Context, current_run
from ferryman.errors import InvalidTask
from ferryman.handler import AnyHandler
from ferryman.logs import name_worker
from ferryman.middleware import overridden
from ferryman.queue import Queue
from ferryman.results import UnkeepableResult, encode_result
from ferryman_worker.outcome import Failure, describe, malformed
from ferryman_worker.surround import run_plain

FRAME = struct.Struct("!I")
_PASS_ON_EVERY_S = 0.5


class Assignment(msgspec.Struct, frozen=True):
    """One run, as the child is told of it."""

    name: str
    args: bytes
    task_id: str
    attempt: int
    max_attempts: int
    enqueued_ms: int
    deliveries: int
    headers: dict[str, str] = {}
    worker: str = ""
    keeps: bool = False  # its result


class Word(msgspec.Struct, frozen=True, array_like=True):
    """How far the run has come, as `Context.progress` said."""

    done: float
    total: float | None
    note: str


class Report(msgspec.Struct, frozen=True):
    """How it went; no failure = well. The last one of a run has `is_last`; those before only bring progress."""

    failure: Failure | None = None
    result: bytes = b""  # JSON, if it is to be kept
    problem: str = ""  # why it can't be kept
    progress: Word | None = None
    is_last: bool = True


encode = msgspec.msgpack.Encoder().encode
decode_assignment = msgspec.msgpack.Decoder(Assignment).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


class Child:
    """The handlers of a queue, in a process that serves one socket."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._around = overridden(queue.middlewares, "around_run")
        self._lifespan: AbstractAsyncContextManager[Any] | None = None
        self._deps: object = None
        self._runner = asyncio.Runner()
        self._line: socket.socket | None = None
        self._said: Word | None = None
        self._runs = ""
        self._saying = threading.Lock()
        self._sent_s = 0.0

    def serve(self, line: socket.socket) -> None:
        """Until the worker closes the line; then the process ends at once, as nothing here is worth keeping."""
        self._line = line
        while (message := _receive(line)) is not None:
            self._send(self.run(decode_assignment(message)))
        if self._lifespan is not None:
            self._runner.run(_leave(self._lifespan))
        os._exit(0)

    def run(self, assignment: Assignment) -> Report:
        """One task. Whatever its handler raises is in the report."""
        handler = self._queue.handlers[assignment.name]
        try:
            arguments = handler.decode_args(assignment.args)
        except InvalidTask as problem:
            return Report(malformed(str(problem)))
        with self._saying:
            self._said, self._runs = None, assignment.task_id
        try:
            value = self._call(handler, assignment, arguments)
            result = encode_result(value) if assignment.keeps else b""
        except UnkeepableResult as error:
            return Report(problem=str(error), progress=self._last_said())
        except BaseException as error:  # noqa: BLE001  (SystemExit included: the child lives on)
            return Report(describe(error, handler.dead_letter_on), progress=self._last_said())
        return Report(result=result, progress=self._last_said())

    def tell(self, task_id: str, token: int, done: float, total: float | None, note: str) -> None:
        """Keeps what the handler says of its progress, and passes it on now and then; from any of its threads."""
        with self._saying:
            if task_id != self._runs:
                return  # a thread that a run before this one has left behind
            self._said = Word(done, total, str(note))
            if self._line is not None and time.monotonic() - self._sent_s >= _PASS_ON_EVERY_S:
                self._sent_s = time.monotonic()
                self._send(Report(progress=self._said, is_last=False))

    def _last_said(self) -> Word | None:
        with self._saying:
            self._runs = ""
            return self._said

    def _send(self, report: Report) -> None:
        assert self._line is not None
        words = encode(report)
        self._line.sendall(FRAME.pack(len(words)) + words)

    def _call(self, handler: AnyHandler, assignment: Assignment, arguments: Mapping[str, object]) -> object:
        run = Context(
            self._dependencies() if handler.wants_context else None,
            task_id=assignment.task_id,
            queue=self._queue.name,
            task=assignment.name,
            attempt=assignment.attempt,
            max_attempts=assignment.max_attempts,
            enqueued_ms=assignment.enqueued_ms,
            deliveries=assignment.deliveries,
            headers=assignment.headers,
            tell=self.tell,
        )
        name_worker(assignment.worker)
        positional = (run,) if handler.wants_context else ()
        call = partial(handler.function, *positional, **arguments)
        # As elsewhere, what one run sets in context variables does not show in the next.
        variables = copy_context()
        variables.run(current_run.set, run)
        return variables.run(run_plain, self._around, run, call)

    def _dependencies(self) -> object:
        if self._lifespan is None and self._queue.lifespan is not None:
            lifespan = self._queue.lifespan()
            self._deps = self._runner.run(_enter(lifespan))
            self._lifespan = lifespan
        return self._deps


async def _enter(lifespan: AbstractAsyncContextManager[Any]) -> Any:
    return await lifespan.__aenter__()


async def _leave(lifespan: AbstractAsyncContextManager[Any]) -> None:
    await lifespan.__aexit__(None, None, None)


def _receive(line: socket.socket) -> bytes | None:
    head = line.recv(FRAME.size, socket.MSG_WAITALL)
    if len(head) < FRAME.size:
        return None
    (size,) = FRAME.unpack(head)
    body = bytearray()
    while len(body) < size:
        part = line.recv(size - len(body))
        if not part:
            return None
        body += part
    return bytes(body)
