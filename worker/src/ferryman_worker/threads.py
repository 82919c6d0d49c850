"""Threads: where plain functions run, one thread per slot at most.

A thread can't be killed. It can be interrupted: an exception is raised in it, which takes effect when it next
runs Python code. What sits in C code (a database driver without a timeout) hears nothing; the worker waits for
it, and when its tasks may no longer run here the process exits with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context as Variables
from queue import SimpleQueue
from typing import Any


class Interrupted(BaseException):
    """Raised inside a handler's thread that must stop. Not an Exception: handlers' own `except` lets it pass."""


class Job:
    """One function call in a thread."""

    __slots__ = ("_interrupted", "_lock", "_thread_id", "call", "future", "variables")

    def __init__(self, call: Callable[[], Any], variables: Variables, future: asyncio.Future[Any]) -> None:
        self.call = call
        self.variables = variables
        self.future = future
        self._lock = threading.Lock()
        self._thread_id = 0
        self._interrupted = False

    def interrupt(self) -> None:
        """Raises Interrupted in the job's thread, once, or keeps the job from starting. Any thread may call it."""
        with self._lock:
            if self._interrupted:
                return
            self._interrupted = True
            if self._thread_id:
                _raise_in(self._thread_id, Interrupted)

    def run(self) -> Any:
        """The call's value; raises what it raises, or Interrupted."""
        me = threading.get_ident()
        with self._lock:
            if self._interrupted:
                raise Interrupted
            self._thread_id = me
        try:
            return self.variables.run(self.call)
        finally:
            with self._lock:
                self._thread_id = 0
                if self._interrupted:
                    _raise_in(me, None)  # it came too late for this job, and must not hit the next one


class ThreadPool:
    """Threads that are started when first needed and live as long as the process."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self._size = size
        self._loop = loop
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ended: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._threads = 0
        self._busy = 0

    def submit(self, call: Callable[[], Any], variables: Variables) -> Job:
        """Runs `call` in a thread; `job.future` gets its value."""
        job = Job(call, variables, self._loop.create_future())
        self._busy += 1
        if self._busy > self._threads and self._threads < self._size:
            self._threads += 1
            # Daemons: a thread that can't be stopped must not keep the process from exiting.
            threading.Thread(target=self._work, name=f"task-{self._threads}", daemon=True).start()
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """Lets idle threads end."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            value: Any = None
            failure: BaseException | None = None
            try:
                value = job.run()
            except BaseException as error:  # noqa: BLE001  (whatever a handler raises is its task's outcome)
                failure = error
            self._ended.append((job.future, value, failure))
            del job, value, failure
            if not self._woken:
                self._woken = True
                try:
                    self._loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:
                    return  # the loop is closed: the process is on its way out

    def _deliver(self) -> None:
        # Cleared first: what ends from here on wakes the loop again, so nothing is left lying.
        self._woken = False
        while self._ended:
            self._busy -= 1
            settle(*self._ended.popleft())


def settle(future: asyncio.Future[Any], value: Any, failure: BaseException | None) -> None:
    """Gives what the call came to to who waits for it, if somebody still does."""
    if future.done():
        return
    if failure is None:
        future.set_result(value)
    elif isinstance(failure, StopIteration):
        future.set_exception(RuntimeError(f"handler raised StopIteration: {failure.value!r}"))
    else:
        future.set_exception(failure)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """None takes back an exception that was not delivered yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), None if error is None else ctypes.py_object(error)
    )
