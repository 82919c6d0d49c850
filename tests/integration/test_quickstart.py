"""The quickstart's tasks in real workers. Its crash simulation: a worker dies with tasks in hand, and all are done."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ferryman_yard.process import in_pod
from ferryman_yard.programs import Start

from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.task import Task

_APP = Path(__file__).parents[2] / "examples/quickstart/app.py"
_PATIENCE_S = 60


class Quickstart:
    """The queue `quickstart` of one Redis, and a pod that serves it."""

    def __init__(self, start: Start, link: Link, redis_url: str, directory: Path) -> None:
        self._start = start
        self._link = link
        self._inspector = Inspector("quickstart")
        self._redis = {"FERRYMAN_REDIS_URL": redis_url}
        self._directory = directory
        #: The exit codes of the containers that have ended, in order.
        self.ended: list[int] = []

    async def enqueue(self, *words: str) -> list[str]:
        """`ferryman enqueue quickstart WORDS`; the ids."""
        command = await self._start("enqueue", "quickstart", *words, "--json", stdout=PIPE, stderr=PIPE, **self._redis)
        said, complaint = await command.communicate()
        assert command.returncode == 0, complaint.decode()
        answers = json.loads(said)
        return [answer["id"] for answer in (answers if isinstance(answers, list) else [answers])]

    async def task(self, id: str) -> Task:
        """One that is known."""
        task = await self._link.run(self._inspector.get(id))
        assert task is not None
        return task

    @asynccontextmanager
    async def one_pod(self) -> AsyncIterator[None]:
        """A worker whose container is started again whenever it ends, as the kubelet does."""
        files = {
            "FERRYMAN_RUN_DIR": str(self._directory),
            "FERRYMAN_TERMINATION_LOG": str(self._directory / "termination-log"),
        }

        async def keep() -> None:
            while True:
                worker = await self._start("worker", "quickstart", "--app", str(_APP), **self._redis, **in_pod(**files))
                self.ended.append(await worker.wait())

        keeper = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()

    async def until_completed(self, number: int) -> QueueStats:
        """Until so many tasks are completed; the figures then."""
        async with asyncio.timeout(_PATIENCE_S):
            while (figures := await self._link.run(self._inspector.stats())).completed < number:
                await asyncio.sleep(0.05)
        return figures


@pytest.fixture
def quickstart(start: Start, real_link: Link, redis_url: str, tmp_path: Path) -> Quickstart:
    return Quickstart(start, real_link, redis_url, tmp_path)


async def test_crash_once_takes_a_worker_along_with_its_neighbours_and_all_are_done_all_the_same(
    quickstart: Quickstart,
) -> None:
    # All of them wait for the first worker, which takes them together.
    neighbours = await quickstart.enqueue("sleep", '{"seconds": 1}', "--count", "5")
    [crashed] = await quickstart.enqueue("crash_once")
    async with quickstart.one_pod():
        figures = await quickstart.until_completed(6)

    assert quickstart.ended == [-signal.SIGKILL], "one worker was killed, and its successor lived"
    assert figures.recovered == 6
    assert (figures.dead, figures.retried, figures.failed, figures.unaccounted) == (0, 0, 0, 0)
    tasks = [await quickstart.task(id) for id in (*neighbours, crashed)]
    assert [task.deliveries for task in tasks] == [2] * 6
    assert [task.crashes for task in tasks] == [0] * 6, "it died in company: nobody is charged"


async def test_crash_once_alone_in_its_worker_is_charged_with_one_crash_and_no_attempt(quickstart: Quickstart) -> None:
    [crashed] = await quickstart.enqueue("crash_once")
    async with quickstart.one_pod():
        figures = await quickstart.until_completed(1)

    assert quickstart.ended == [-signal.SIGKILL]
    assert (figures.recovered, figures.dead, figures.retried, figures.unaccounted) == (1, 0, 0, 0)
    task = await quickstart.task(crashed)
    assert (task.state, task.crashes, task.deliveries) == ("completed", 1, 2)
    [evidence] = task.evidence
    assert json.loads(evidence)["held"] == 1
