"""Yard: a queue on a real server, the log of what ran, the workers that a test starts, and who looks after them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ferryman_bench import AgingClock, Bench

from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.task import Task
from ferryman_yard.process import WorkerProcess, in_pod


class Yard:
    """`bench` is on the same server as the workers, unless those reach it by another address."""

    def __init__(self, bench: Bench, redis_url: str, directory: Path) -> None:
        self.bench = bench
        self.redis_url = redis_url
        self.directory = directory
        self.ran = directory / "ran"
        self.ran.touch()
        self.gate = directory / "gate"
        self.workers: list[WorkerProcess] = []

    # Workers.

    def start(self, **env: str) -> WorkerProcess:
        """A worker that has just been started."""
        self.workers.append(WorkerProcess(self.directory, self.redis_url, len(self.workers), **env))
        return self.workers[-1]

    async def worker(self, **env: str) -> WorkerProcess:
        """A worker that has registered."""
        worker = self.start(**env)
        await self.until(lambda: "serving queue" in worker.said() or not worker.running)
        assert worker.running, worker.said()
        return worker

    async def exit_code(self, worker: WorkerProcess) -> int:
        """Waits until it has ended."""
        await self.until(lambda: not worker.running)
        return int(worker.process.returncode)

    @asynccontextmanager
    async def kept_running(self, *pods: str, **env: str) -> AsyncIterator[None]:
        """A worker in each pod; the container is started again whenever it ends, as a kubelet would."""

        async def keep(pod: str) -> None:
            while True:
                worker = self.start(**in_pod(pod, **env))
                while worker.running:
                    await asyncio.sleep(0.02)

        keepers = [asyncio.create_task(keep(pod)) for pod in pods]
        try:
            yield
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    @asynccontextmanager
    async def recoverer(self) -> AsyncIterator[None]:
        """Looks at silent workers as the scheduler does, and promotes."""

        async def look() -> None:
            while True:
                for worker in await self.bench.run(self.bench.workers.look()):
                    await self.bench.run(self.bench.broker.recover(worker))
                await self.bench.run(self.bench.broker.recover_handed())
                await self.bench.run(self.bench.broker.promote())
                await asyncio.sleep(0.45)

        task = asyncio.create_task(look())
        try:
            yield
        finally:
            task.cancel()

    async def metric(self, worker: WorkerProcess, name: str) -> float:
        """The sum of a metric over its labels, as Prometheus would scrape it now."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{worker.port}/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0] == name)

    # Tasks.

    async def enqueue(self, *ids: str, name: str, args: str = "{}") -> None:
        """One task per id."""
        await self.bench.enqueue(*ids, name=name, args=args.encode())

    async def enqueue_wait(self, *ids: str, name: str = "wait") -> None:
        """Tasks that run until the gate is opened."""
        await self.enqueue(*ids, name=name, args=f'{{"path": "{self.gate}"}}')

    async def task(self, id: str) -> Task:
        """One that is known."""
        task = await self.bench.run(self.bench.inspector.get(id))
        assert task is not None
        return task

    # What happened.

    def lines(self, word: str) -> list[list[str]]:
        """What handlers logged under this word."""
        return [words for _, words in self.moments(word)]

    def moments(self, word: str) -> list[tuple[float, list[str]]]:
        """The same with the moment of each line, in seconds of the monotonic clock."""
        lines = [line.split() for line in self.ran.read_text().splitlines()]
        return [(int(words[0]) / 1e9, words[2:]) for words in lines if len(words) > 1 and words[1] == word]

    async def until(self, condition: Callable[[], Any], patience_s: float = 60) -> None:
        """Waits for a condition, which may be a coroutine's."""
        try:
            async with asyncio.timeout(patience_s):
                while not (done := condition()) or (isinstance(done, Awaitable) and not await done):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logs = "\n".join(worker.said() for worker in self.workers)
            ran = self.ran.read_text()[-5_000:]
            pytest.fail(f"in vain; {await self.bench.stats()}\nran:\n{ran}\nworkers:\n{logs}")

    async def until_stats(self, patience_s: float = 60, **figures: int) -> None:
        """Waits until the queue has these figures."""

        async def reached() -> bool:
            try:
                stats = await self.bench.stats()
            except BrokerUnavailable:
                return False  # a test has killed the server
            return all(getattr(stats, name) == value for name, value in figures.items())

        await self.until(reached, patience_s)

    def end(self) -> None:
        """Ends all workers."""
        for worker in self.workers:
            worker.end()


@asynccontextmanager
async def yard_on(redis_url: str, directory: Path) -> AsyncIterator[Yard]:
    """A yard on another server than the shared one."""
    link = Link.from_url(redis_url)
    yard = Yard(Bench(link, AgingClock(link)), redis_url, directory)
    try:
        yield yard
    finally:
        yard.end()
        await link.close()
