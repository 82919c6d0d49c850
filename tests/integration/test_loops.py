"""Event loops and threads: one queue, used from many at once on a real server, leaves nothing open behind them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from ferryman import Queue
from ferryman.call import command
from ferryman.inspector import Inspector
from ferryman.link import Link

_THREADS = 16
_EACH = 25


@pytest.fixture
async def queue(real_link: Link, redis_url: str) -> AsyncIterator[Queue]:
    """A queue in whose name nothing is unaccounted for at the end."""
    made = Queue("loops", redis_url=redis_url)

    @made.task
    def note(thread: int, number: int) -> None: ...

    yield made
    assert (await real_link.run(Inspector("loops").stats())).unaccounted == 0


async def _clients(link: Link) -> int:
    return await link.run(command("CLIENT", "LIST", read=lambda reply: len(bytes(reply).splitlines())))


def _in_threads(work: object) -> None:
    assert callable(work)
    together = threading.Barrier(_THREADS)

    def run(number: int) -> None:
        together.wait()
        work(number)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(run, range(_THREADS)))


async def test_threads_share_a_queue(queue: Queue, real_link: Link) -> None:
    note = queue.handlers["note"]

    def work(thread: int) -> None:
        for number in range(_EACH):
            assert note.enqueue_sync(thread, number).created

    await asyncio.to_thread(_in_threads, work)
    assert (await real_link.run(Inspector("loops").stats())).waiting == _THREADS * _EACH


async def test_each_thread_may_have_a_loop_and_each_loop_closes_what_it_opened(queue: Queue, real_link: Link) -> None:
    note = queue.handlers["note"]
    await note.enqueue(-1, -1)  # this loop's connection
    before = await _clients(real_link)

    def work(thread: int) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*(note.enqueue(thread, number) for number in range(_EACH)))

        asyncio.run(all_at_once())
        asyncio.run(all_at_once())  # a second loop in the same thread

    await asyncio.to_thread(_in_threads, work)
    assert (await real_link.run(Inspector("loops").stats())).waiting == 1 + 2 * _THREADS * _EACH
    async with asyncio.timeout(10):
        while await _clients(real_link) > before:
            await asyncio.sleep(0.02)


async def test_a_blocking_enqueue_inside_of_a_running_loop_works(queue: Queue) -> None:
    note = queue.handlers["note"]
    assert note.enqueue_sync(0, 0).created
    assert (await note.enqueue(0, 1)).created
    assert note.enqueue_sync(0, 2).created
