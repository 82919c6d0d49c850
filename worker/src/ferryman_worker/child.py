"""Child: runs the `run_in="process"` tasks of one queue, one at a time, in a process that may be killed.

Reads an assignment, runs the handler, reports in words: exceptions never travel as objects. Its lifespan is
entered when the first handler asks for a Context: a child is a worker process of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
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
from ferryman_worker.outcome import Failure, describe, malformed
from ferryman_worker.surround import run_plain

FRAME = struct.Struct("!I")


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


class Report(msgspec.Struct, frozen=True):
    """How it went; no failure = well."""

    failure: Failure | None = None


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

    def serve(self, line: socket.socket) -> None:
        """Until the worker closes the line; then the process ends at once, as nothing here is worth keeping."""
        while (message := _receive(line)) is not None:
            report = encode(self.run(decode_assignment(message)))
            line.sendall(FRAME.pack(len(report)) + report)
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
        try:
            self._call(handler, assignment, arguments)
        except BaseException as error:  # noqa: BLE001  (SystemExit included: the child lives on)
            return Report(describe(error, handler.dead_letter_on))
        return Report()

    def _call(self, handler: AnyHandler, assignment: Assignment, arguments: Mapping[str, object]) -> None:
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
        )
        name_worker(assignment.worker)
        positional = (run,) if handler.wants_context else ()
        call = partial(handler.function, *positional, **arguments)
        # As elsewhere, what one run sets in context variables does not show in the next.
        variables = copy_context()
        variables.run(current_run.set, run)
        variables.run(run_plain, self._around, run, call)

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
