"""CallerThread: the thread pool of a rehearsal that a blocking test waits for: plain functions run in its thread.

The database connection, the transaction and everything else that a thread has for itself are then the test's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context as Variables
from typing import Any

from ferryman_worker.threads import Job, ThreadPool, settle


class CallerThread(ThreadPool):
    """The one thread is that which waits in asgiref's `async_to_sync` for this loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(0, loop)
        self._calls: set[asyncio.Task[None]] = set()

    def submit(self, call: Callable[[], Any], variables: Variables) -> Job:
        """Runs `call` there; `job.future` gets its value."""
        job = Job(call, variables, self._loop.create_future())
        running = self._loop.create_task(_run(job))
        self._calls.add(running)
        running.add_done_callback(self._calls.discard)
        return job


async def _run(job: Job) -> None:
    from asgiref.sync import sync_to_async

    settle(job.future, *await sync_to_async(_outcome, thread_sensitive=True)(job))


def _outcome(job: Job) -> tuple[Any, BaseException | None]:
    """Caught here, so that its traceback has the handler's frames and none of the way here."""
    try:
        return job.run(), None
    except BaseException as error:  # noqa: BLE001  (whatever a handler raises is its task's outcome)
        return None, error
