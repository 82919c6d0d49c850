"""RehearsedProcesses: the process pool of a rehearsal, whose children are calls in a thread.

What a child would do is done by `Child`: arguments come from the JSON, a failure goes back in words. A child that is
killed before it began is never called; one that has begun is asked to stop, as a thread can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial
from typing import Any

from ferryman.context import Tell
from ferryman.queue import Queue
from ferryman_worker.child import Assignment, Child, Report, decode_report, encode
from ferryman_worker.outcome import ChildDied
from ferryman_worker.process_pool import FailedInChild, ProcessPool
from ferryman_worker.threads import Job, ThreadPool


class RehearsedProcesses(ProcessPool):
    """Children that share this process, and `deps` with it."""

    def __init__(self, queue: Queue, deps: object, threads: ThreadPool) -> None:
        super().__init__(None, lambda: None)
        self._child = _Child(queue, deps)
        self._threads = threads

    @asynccontextmanager
    async def child(self) -> AsyncIterator[Any]:
        """A child for one task."""
        yield _Call(self._child, self._threads)


class _Child(Child):
    def __init__(self, queue: Queue, deps: object) -> None:
        super().__init__(queue)
        self._deps = deps

    def _dependencies(self) -> object:
        return self._deps


class _Call:
    def __init__(self, child: Child, threads: ThreadPool) -> None:
        self._child = child
        self._threads = threads
        self._job: Job | None = None
        self._killed = False

    def kill(self) -> None:
        self._killed = True
        if self._job is not None:
            self._job.interrupt()

    async def run(self, assignment: Assignment, tell: Tell) -> Report:
        await asyncio.sleep(0)  # a timeout that strikes at once comes before the call
        if not self._killed:
            self._job = self._threads.submit(partial(self._child.run, assignment), copy_context())
            report: Report = await self._job.future
        if self._killed:
            raise ChildDied("the process that ran it was killed")
        report = decode_report(encode(report))
        if (word := report.progress) is not None:
            tell(assignment.task_id, assignment.deliveries, word.done, word.total, word.note)
        if report.failure is not None:
            raise FailedInChild(report.failure)
        return report
