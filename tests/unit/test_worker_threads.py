"""Threads can be interrupted as long as they run Python code."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context

import pytest
from ferryman_worker.threads import Interrupted, ThreadPool


@pytest.fixture
def go_on() -> Iterator[threading.Event]:
    """Lets a thread end that nobody could stop."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_thread_that_runs_python_code_is_interrupted(go_on: threading.Event) -> None:
    started = threading.Event()

    def spin() -> None:
        started.set()
        while not go_on.is_set():
            time.sleep(0.001)

    pool = ThreadPool(1, asyncio.get_running_loop())
    job = pool.submit(spin, copy_context())
    await asyncio.to_thread(started.wait, 10)
    job.interrupt()

    with pytest.raises(Interrupted):
        await asyncio.wait_for(job.future, 30)
    pool.close()


async def test_a_job_that_was_interrupted_before_its_turn_never_starts(go_on: threading.Event) -> None:
    ran: list[str] = []
    pool = ThreadPool(1, asyncio.get_running_loop())
    first = pool.submit(lambda: go_on.wait(10), copy_context())
    second = pool.submit(lambda: ran.append("second"), copy_context())
    second.interrupt()
    go_on.set()

    assert await asyncio.wait_for(first.future, 30)
    with pytest.raises(Interrupted):
        await asyncio.wait_for(second.future, 30)
    assert ran == []
    pool.close()
