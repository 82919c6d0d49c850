"""Whole worker processes on a real Redis, treated badly: killed, paused, blocked, cut off, told to stop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.testing import AgingClock, Bench

APP = """
import asyncio, ctypes, os, threading, time
from contextlib import asynccontextmanager
from ferryman import Context, Queue

def log(*words):
    with open({log!r}, "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

@asynccontextmanager
async def lifespan():
    log("enter", os.getpid())
    yield "deps"
    log("leave", os.getpid())

queue = Queue("bench", lifespan=lifespan)

@queue.task
async def note(ctx: Context[str]) -> None:
    log("note", ctx.task_id, ctx.deps, ctx.max_attempts)

@queue.task
async def wait(ctx: Context[str], path: str) -> None:
    log("start", ctx.task_id, os.getpid())
    try:
        while not os.path.exists(path):
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        log("cancelled", ctx.task_id)
        raise
    log("end", ctx.task_id)

@queue.task
async def block(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    time.sleep(seconds)
    log("end", ctx.task_id)

@queue.task
async def hold_gil(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    log("end", ctx.task_id)

@queue.task
def stuck(ctx: Context[str], seconds: float) -> None:
    log("start", ctx.task_id, os.getpid())
    threading.Event().wait(seconds)  # in C code, where no interrupt is heard
    log("end", ctx.task_id)

@queue.task(run_in="process", timeout="60s")
def child(ctx: Context[str], path: str) -> None:
    log("start", ctx.task_id, os.getpid())
    while not os.path.exists(path):
        time.sleep(0.01)
    log("end", ctx.task_id)

@queue.task(run_in="process", timeout="100ms")
def child_with_timeout() -> None:
    time.sleep(60)
"""


class WorkerProcess:
    """One `ferryman worker` in a process group of its own."""

    def __init__(self, directory: Path, redis_url: str, number: int, **env: str) -> None:
        self.log = directory / f"worker-{number}.log"
        settings = {
            "FERRYMAN_REDIS_URL": redis_url,
            "FERRYMAN_PORT": "0",
            "FERRYMAN_WORKER_TIMEOUT": "60s",
            "FERRYMAN_RUN_DIR": str(directory),
            "FERRYMAN_TERMINATION_LOG": str(directory / "termination-log"),
            **env,
        }
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ferryman_worker", "bench", "--app", str(directory / "worker_app.py")],
                env={**os.environ, **settings},
                stderr=stderr,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    @property
    def port(self) -> int:
        match = re.search(r"on port (\d+)", self.said())
        assert match
        return int(match[1])

    def signal(self, number: int, *, group: bool = False) -> None:
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL, group=True)
        self.process.wait(timeout=20)


class Yard:
    """A queue on a real server, the app's log of what ran, and the workers that a test starts."""

    def __init__(self, bench: Bench, redis_url: str, directory: Path) -> None:
        self.bench = bench
        self.redis_url = redis_url
        self.directory = directory
        self.ran = directory / "ran"
        self.ran.touch()
        self.gate = directory / "gate"
        self.workers: list[WorkerProcess] = []
        (directory / "worker_app.py").write_text(APP.format(log=str(self.ran)))

    async def worker(self, **env: str) -> WorkerProcess:
        """A worker that has registered."""
        worker = self.start(**env)
        await self.until(lambda: "serving queue" in worker.said() or worker.process.poll() is not None)
        assert worker.process.poll() is None, worker.said()
        return worker

    def start(self, **env: str) -> WorkerProcess:
        self.workers.append(WorkerProcess(self.directory, self.redis_url, len(self.workers), **env))
        return self.workers[-1]

    async def enqueue(self, *ids: str, name: str, args: str = "{}") -> None:
        await self.bench.enqueue(*ids, name=name, args=args.encode())

    async def enqueue_wait(self, *ids: str, name: str = "wait") -> None:
        """Tasks that run until the gate is opened."""
        await self.enqueue(*ids, name=name, args=f'{{"path": "{self.gate}"}}')

    def lines(self, word: str) -> list[list[str]]:
        """What handlers logged under this word."""
        return [words[1:] for line in self.ran.read_text().splitlines() if (words := line.split())[0] == word]

    async def until(self, condition: Callable[[], Any], patience_s: float = 60) -> None:
        try:
            async with asyncio.timeout(patience_s):
                while not (done := condition()) or (isinstance(done, Awaitable) and not await done):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            logs = "\n".join(worker.said() for worker in self.workers)
            pytest.fail(f"in vain; {await self.bench.stats()}\nran:\n{self.ran.read_text()}\nworkers:\n{logs}")

    async def until_stats(self, **figures: int) -> None:
        async def reached() -> bool:
            try:
                stats = await self.bench.stats()
            except BrokerUnavailable:
                return False  # a test has killed the server
            return all(getattr(stats, name) == value for name, value in figures.items())

        await self.until(reached)

    @asynccontextmanager
    async def recoverer(self) -> AsyncIterator[None]:
        """Looks at silent workers as the scheduler does."""

        async def look() -> None:
            while True:
                for worker in await self.bench.run(self.bench.workers.look()):
                    await self.bench.run(self.bench.broker.recover(worker))
                await self.bench.run(self.bench.broker.recover_handed())
                await asyncio.sleep(0.45)

        task = asyncio.create_task(look())
        yield
        task.cancel()

    async def exit_code(self, worker: WorkerProcess) -> int:
        await self.until(lambda: worker.process.poll() is not None)
        return int(worker.process.returncode)


@pytest.fixture
async def yard(real_bench: Bench, redis_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    made = Yard(real_bench, redis_url, tmp_path)
    yield made
    for worker in made.workers:
        worker.end()
    assert (await real_bench.stats()).unaccounted == 0


def in_pod(uid: str = "pod-1", **env: str) -> dict[str, str]:
    return {"FERRYMAN_POD_UID": uid, "FERRYMAN_CONTAINER": "worker", **env}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children(pid: int) -> Iterator[int]:
    """All descendants."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from children(int(child))


# Death and recovery


async def test_a_worker_killed_in_mid_task_is_recovered_by_its_successor_in_the_same_container(yard: Yard) -> None:
    first = await yard.worker(**in_pod())
    await yard.enqueue_wait("a", "b")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    dead_id = (yard.directory / "termination-log").read_text()
    first.signal(signal.SIGKILL)
    second = await yard.worker(**in_pod())  # nobody else recovers, and the promise holds for another minute
    assert f"recovered {dead_id} of this container: 2 to waiting, 0 to dead" in second.said()
    assert (yard.directory / "termination-log").read_text() != dead_id
    yard.gate.touch()
    await yard.until_stats(completed=2, active=0)


async def test_every_child_dies_with_a_killed_worker(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("a", name="child")
    await yard.until(lambda: yard.lines("start"))
    family = list(children(worker.process.pid))
    assert len(family) == 3, "the beat child, the nursery, and the child that runs the task"
    worker.signal(signal.SIGKILL)
    await yard.until(lambda: not any(map(alive, family)))


async def test_a_killed_pool_process_fails_its_own_task_only(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("victim", name="child")
    await yard.until(lambda: yard.lines("start"))
    await yard.enqueue_wait("neighbour", name="child")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    os.kill(int(yard.lines("start")[0][1]), signal.SIGKILL)
    await yard.until_stats(retried=1, active=1)
    task = await yard.bench.run(yard.bench.inspector.get("victim"))
    assert task is not None
    assert "was killed (SIGKILL" in task.error
    yard.gate.touch()
    await yard.until_stats(completed=1)
    assert worker.process.poll() is None


async def test_a_process_task_that_takes_too_long_is_killed(yard: Yard) -> None:
    await yard.worker()
    await yard.enqueue("a", name="child_with_timeout")
    await yard.until_stats(retried=1, active=0)
    task = await yard.bench.run(yard.bench.inspector.get("a"))
    assert task is not None
    assert "ran longer than its timeout of 0.1 s" in task.error


async def test_without_its_beat_child_a_worker_gives_its_tasks_back_and_exits_non_zero(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="100ms")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    beat_child = next(children(worker.process.pid))
    os.kill(beat_child, signal.SIGKILL)
    assert await yard.exit_code(worker) == 1
    await yard.until_stats(waiting=1, active=0, workers=0)
    assert yard.lines("cancelled") == [["a"]]


# Alive, whatever it looks like


@pytest.mark.parametrize("name", ["block", "hold_gil"])
async def test_a_handler_that_blocks_the_loop_or_the_gil_is_not_death(yard: Yard, name: str) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    async with yard.recoverer():
        await yard.enqueue("a", name=name, args='{"seconds": 4}')
        await yard.until(lambda: yard.lines("start"))
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"http://127.0.0.1:{worker.port}/livez")).status_code == 200
        await yard.until_stats(completed=1)
    assert (await yard.bench.stats()).recovered == 0
    assert len(yard.lines("start")) == 1


async def test_a_loop_that_hangs_for_ever_is_death(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s", FERRYMAN_HANG_TIMEOUT="1s")
    async with yard.recoverer():
        await yard.enqueue("a", name="block", args='{"seconds": 3600}')
        await yard.until(lambda: yard.lines("start"))
        assert await yard.exit_code(worker) == -signal.SIGKILL
        await yard.until_stats(recovered=1, active=0)
    assert "no more beats" in worker.said()


# Ownership gone


async def test_a_paused_worker_wakes_up_fenced_stops_its_code_and_goes_on_under_a_new_id(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    [before] = await yard.bench.run(yard.bench.workers.list())
    async with yard.recoverer():
        worker.signal(signal.SIGSTOP, group=True)
        await yard.until_stats(recovered=1, waiting=1)
        worker.signal(signal.SIGCONT, group=True)
        await yard.until(lambda: yard.lines("cancelled") == [["a"]])
        yard.gate.touch()
        await yard.until_stats(completed=1, active=0)
    await yard.until(lambda: worker.said().count("serving queue") == 2)
    [after] = await yard.bench.run(yard.bench.workers.list())
    assert after.id != before.id
    assert worker.process.poll() is None
    assert len(yard.lines("start")) == 2, "once before the pause, once after it"


async def test_a_worker_that_cannot_beat_for_as_long_as_it_promised_stops_its_code_by_itself(
    yard: Yard, start_redis: Callable[..., Any]
) -> None:
    server = start_redis()
    link = Link.from_url(server.url)
    there = Yard(Bench(link, AgingClock(link)), server.url, yard.directory)
    worker = await there.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    try:
        await there.enqueue_wait("a")
        await there.until(lambda: there.lines("start"))
        server.process.send_signal(signal.SIGSTOP)
        await yard.until(lambda: there.lines("cancelled") == [["a"]])
        server.process.send_signal(signal.SIGCONT)
        there.gate.touch()
        await there.until_stats(completed=1, recovered=0)  # it gave the task back by itself: no crash was charged
        assert worker.process.poll() is None
        assert worker.said().count("serving queue") == 2
    finally:
        server.process.send_signal(signal.SIGCONT)
        worker.end()
        await link.close()


async def test_a_thread_that_cannot_be_stopped_takes_the_process_with_it(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="1s")
    await yard.enqueue("a", name="stuck", args='{"seconds": 3600}')
    await yard.until(lambda: yard.lines("start"))
    async with yard.recoverer():
        worker.signal(signal.SIGSTOP, group=True)
        await yard.until_stats(recovered=1)
        worker.signal(signal.SIGCONT, group=True)
        assert await yard.exit_code(worker) == 1
    assert "can't be stopped" in worker.said()


# Redis comes and goes


async def test_redis_restarts_under_load_and_no_worker_does(yard: Yard, start_redis: Callable[..., Any]) -> None:
    server = start_redis("--appendonly", "yes", "--appendfsync", "always")
    link = Link.from_url(server.url)
    there = Yard(Bench(link, AgingClock(link)), server.url, yard.directory)
    worker = await there.worker()
    try:
        ids = [f"t{i}" for i in range(3_000)]
        for i in range(0, 3_000, 500):
            await there.enqueue(*ids[i : i + 500], name="note")
        await there.until(lambda: there.lines("note"))
        server.kill()
        server.start()
        await there.until_stats(completed=3_000, active=0, waiting=0)
        assert {words[0] for words in there.lines("note")} == set(ids)
        assert (await there.bench.stats()).unaccounted == 0
        assert worker.process.poll() is None
        assert worker.said().count("serving queue") == 1
    finally:
        worker.end()
        await link.close()


async def test_a_worker_that_starts_before_redis_waits_for_it(yard: Yard, start_redis: Callable[..., Any]) -> None:
    server = start_redis()
    server.kill()
    link = Link.from_url(server.url)
    there = Yard(Bench(link, AgingClock(link)), server.url, yard.directory)
    worker = there.start()
    try:
        await yard.until(lambda: "can't register yet" in worker.said())
        server.start()
        await there.enqueue("a", name="note")
        await there.until_stats(completed=1)
    finally:
        worker.end()
        await link.close()


# Told to stop


async def test_sigterm_lets_tasks_end_and_gives_nothing_new_out(yard: Yard) -> None:
    worker = await yard.worker()
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    worker.signal(signal.SIGTERM)
    async with httpx.AsyncClient() as http:
        ready = f"http://127.0.0.1:{worker.port}/readyz"

        async def unready() -> bool:
            return (await http.get(ready)).status_code == 503

        await yard.until(unready)
        assert (await http.get(ready.replace("readyz", "livez"))).status_code == 200
    await yard.enqueue("late", name="note")
    yard.gate.touch()
    assert await yard.exit_code(worker) == 0
    stats = await yard.bench.stats()
    assert (stats.completed, stats.waiting, stats.active, stats.workers) == (1, 1, 0, 0)
    assert len(yard.lines("leave")) == 1, "the lifespan was left"


async def test_what_outlives_the_grace_is_stopped_and_goes_back_with_nothing_spent(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="200ms")
    await yard.enqueue_wait("a")
    await yard.enqueue_wait("b", name="child")
    await yard.until(lambda: len(yard.lines("start")) == 2)
    worker.signal(signal.SIGTERM)
    assert await yard.exit_code(worker) == 0
    stats = await yard.bench.stats()
    assert (stats.waiting, stats.active, stats.failed, stats.recovered, stats.workers) == (2, 0, 0, 0, 0)
    task = await yard.bench.run(yard.bench.inspector.get("a"))
    assert task is not None
    assert task.attempt == 0


async def test_a_second_sigterm_does_not_wait_for_running_tasks(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_SHUTDOWN_GRACE="1h")
    await yard.enqueue_wait("a")
    await yard.until(lambda: yard.lines("start"))
    worker.signal(signal.SIGTERM)
    await yard.until(lambda: "quiet: 1 tasks running" in worker.said())
    worker.signal(signal.SIGTERM)
    assert await yard.exit_code(worker) == 0
    await yard.until_stats(waiting=1, active=0)


# What beats bring


async def test_a_drained_worker_idles_not_ready_and_resumes_when_the_lease_ends(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="3s")
    [row] = await yard.bench.run(yard.bench.workers.list())
    await yard.bench.run(yard.bench.workers.drain([row.id], 600_000))
    async with httpx.AsyncClient() as http:

        async def ready() -> bool:
            return (await http.get(f"http://127.0.0.1:{worker.port}/readyz")).status_code == 200

        async def unready() -> bool:
            return not await ready()

        await yard.until(unready)
        await yard.enqueue("a", name="note")
        assert (await yard.bench.stats()).waiting == 1
        await yard.bench.run(yard.bench.workers.drain([row.id], 0))
        await yard.until_stats(completed=1)
        await yard.until(ready)


async def test_a_new_policy_is_followed_without_a_restart(yard: Yard) -> None:
    worker = await yard.worker(FERRYMAN_WORKER_TIMEOUT="3s")
    await yard.bench.run(yard.bench.policy.write({"max_attempts": 9}, generation=4))
    await yard.until(lambda: "generation 4" in worker.said())
    await yard.enqueue("a", name="note")
    await yard.until_stats(completed=1)
    assert yard.lines("note") == [["a", "deps", "9"]]


async def test_a_name_that_nobody_knows_is_parked(yard: Yard) -> None:
    await yard.worker()
    await yard.enqueue("a", name="unheard_of")
    await yard.until_stats(parked=1, delayed=1, active=0)
