"""Process pool: the worker's side of the children that run `run_in="process"` tasks.

A child has one task at a time, so killing it stops that task and no other. A child that died is replaced by the
next task that needs one; the task it had has crashed, and nothing else did. If the nursery itself dies, every child
dies with it and the worker must stop: `lost` is called, and no task is charged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

from ferryman.context import Tell
from ferryman_worker.child import FRAME, Assignment, Report, decode_report, encode
from ferryman_worker.nursery import ANSWER, REQUEST
from ferryman_worker.outcome import ChildDied, Failure, NoChild, NurseryGone


class FailedInChild(Exception):
    """The handler raised; `failure` is what the child said about it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class ChildHandle:
    """One child process, seen from the worker."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self.line = line
        #: False once it was killed or has broken off: it must not get another task.
        self.usable = True

    def kill(self) -> None:
        """Ends the child and with it the task that it runs."""
        if self.usable:
            self.usable = False
            os.kill(self.pid, signal.SIGKILL)  # not reaped before `ProcessPool` asks for it: the pid is its own

    async def run(self, assignment: Assignment, tell: Tell) -> Report:
        """Runs one task there; `tell` hears of its progress.

        Raises FailedInChild, or ChildDied when the process ends before its report.
        """
        loop = asyncio.get_running_loop()
        message = encode(assignment)
        try:
            await loop.sock_sendall(self.line, FRAME.pack(len(message)) + message)
            while True:
                (size,) = FRAME.unpack(await _read(loop, self.line, FRAME.size))
                report = decode_report(await _read(loop, self.line, size))
                if (word := report.progress) is not None:
                    tell(assignment.task_id, assignment.deliveries, word.done, word.total, word.note)
                if report.is_last:
                    break
        except (OSError, EOFError):
            self.usable = False
            raise ChildDied("the process that ran it ended") from None
        if report.failure is not None:
            raise FailedInChild(report.failure)
        return report


class ProcessPool:
    """Children on demand: as many as tasks ever ran at the same time. Without a nursery it has none."""

    def __init__(self, nursery: socket.socket | None, lost: Callable[[], None]) -> None:
        self._nursery = nursery
        self._lost = lost
        if nursery is not None:
            nursery.setblocking(False)
        self._asking = asyncio.Lock()
        self._idle: list[ChildHandle] = []

    @asynccontextmanager
    async def child(self) -> AsyncIterator[ChildHandle]:
        """A child for one task. One that dies meanwhile is reaped, and its end is put into words.

        Raises NoChild or NurseryGone when there is none to be had.
        """
        child = self._idle.pop() if self._idle else await self._fork()
        try:
            yield child
        except ChildDied:
            raise ChildDied(f"the process that ran it (pid {child.pid}) {_ending(await self._reap(child))}") from None
        finally:
            if child.usable:
                self._idle.append(child)

    def close(self) -> None:
        """Lets the nursery and with it every child end."""
        for child in self._idle:
            child.line.close()
        if self._nursery is not None:
            self._nursery.close()

    async def _fork(self) -> ChildHandle:
        assert self._nursery is not None, "a handler runs in a process, but no nursery was forked"
        async with self._asking:
            await self._ask(b"f", 0)
            answer, descriptors, _, _ = socket.recv_fds(self._nursery, ANSWER.size, 1)
        if not answer:
            self._end()
        if not descriptors:
            raise NoChild("no process could be started for it")
        line = socket.socket(fileno=descriptors[0])
        line.setblocking(False)
        return ChildHandle(ANSWER.unpack(answer)[0], line)

    async def _reap(self, child: ChildHandle) -> int:
        child.usable = False
        child.line.close()
        assert self._nursery is not None
        async with self._asking:
            await self._ask(b"r", child.pid)
            answer = self._nursery.recv(ANSWER.size)
        if len(answer) < ANSWER.size:
            self._end()
        return int(ANSWER.unpack(answer)[0])

    def _end(self) -> NoReturn:
        self._lost()
        raise NurseryGone("the process that forks children has ended") from None

    async def _ask(self, what: bytes, pid: int) -> None:
        """Sends a request and waits until its answer can be read; no caller is ever cancelled in here."""
        assert self._nursery is not None
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._nursery, REQUEST.pack(what, pid))
        except OSError:
            self._end()
        readable = loop.create_future()
        descriptor = self._nursery.fileno()
        loop.add_reader(descriptor, _resolve, readable)
        try:
            await readable
        finally:
            loop.remove_reader(descriptor)


def _resolve(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


async def _read(loop: asyncio.AbstractEventLoop, line: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = await loop.sock_recv(line, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return "was killed by SIGKILL (out of memory?)"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"exited with code {code}"
