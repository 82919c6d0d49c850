"""Durability on real servers: what each setting makes of the verdict, of tasks, and of what people are told."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ferryman.broker import Broker
from ferryman.call import command
from ferryman.cli.main import root
from ferryman.durability import Durability, judge, questions
from ferryman.errors import BrokerUnavailable, QueueFull
from ferryman.inspector import Inspector
from ferryman.link import Link
from ferryman.new_task import NewTask

SMALL = ("--maxmemory", "4mb")
PATIENCE_S = 60


class Server:
    """A server of the test's own, and a link to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.link = Link.from_url(url)

    async def ask(self, *words: str) -> Any:
        return await self.link.run(command(*words, read=lambda reply: reply))

    async def verdict(self) -> Durability:
        return judge(await self.link.run_all(questions()))

    async def fill(self) -> int:
        """Enqueues until Redis is full, or clearly evicts; how many were accepted."""
        broker, accepted = Broker("q"), 0
        for batch in range(60):
            tasks = [NewTask(f"{batch}-{i}", "echo", b'{"value": "%s"}' % (b"x" * 2_000)) for i in range(50)]
            try:
                accepted += len(await self.link.run(broker.enqueue(tasks)))
            except QueueFull:
                return accepted
        return accepted

    async def has_its_file(self) -> bool:
        """Whether an AOF that was switched on is written; before that the server refuses to stop."""
        told = await self.ask("INFO", "persistence")
        return not (told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])

    async def count(self, pattern: str) -> int:
        return len(await self.ask("KEYS", pattern))


@pytest.fixture
async def start(start_redis: Callable[..., Any]) -> AsyncIterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*options: str) -> Server:
        servers.append(Server(start_redis(*options).url))
        return servers[-1]

    yield start
    for server in servers:
        await _until(server.has_its_file)
        await server.link.close()


async def test_the_verdict_follows_what_is_set_at_run_time(start: Callable[..., Server]) -> None:
    server = start("--appendonly", "yes")
    steps = [
        ((), True, "AppendOnly"),
        (("maxmemory-policy", "allkeys-lru"), False, "Evicts"),
        (("maxmemory-policy", "volatile-lru"), True, "AppendOnly"),
        (("maxmemory-policy", "noeviction"), True, "AppendOnly"),
        (("appendonly", "no"), False, "NoAppendOnlyFile"),
        (("maxmemory-policy", "allkeys-random"), False, "Evicts"),
    ]
    for setting, durable, reason in steps:
        if setting:
            await server.ask("CONFIG", "SET", *setting)
        found = await server.verdict()
        assert (found.durable, found.reason) == (durable, reason), setting


async def test_a_user_who_may_not_ask_learns_that_nothing_is_known(start: Callable[..., Server]) -> None:
    server = start("--appendonly", "yes")
    await server.ask("ACL", "SETUSER", "ferryman", "on", ">secret", "~*", "+@all", "-info")
    link = Link.from_url(server.url.replace("redis://", "redis://ferryman:secret@"))
    found = judge(await link.run_all(questions()))
    await link.close()
    assert (found.durable, found.reason) == (None, "InfoRefused")
    assert "secret" not in found.message


async def test_a_volatile_policy_evicts_no_task_and_a_full_redis_says_so(start: Callable[..., Server]) -> None:
    server = start(*SMALL, "--maxmemory-policy", "volatile-lru")
    accepted = await server.fill()
    assert 0 < accepted < 3_000
    assert await server.count("ferryman:{q}:task:*") == accepted
    stats = await server.link.run(Inspector("q").stats())
    assert (stats.waiting, stats.unaccounted) == (accepted, 0)


async def test_an_allkeys_policy_does_lose_tasks(start: Callable[..., Server]) -> None:
    """What the condition Evicts warns of, so that it is no superstition."""
    server = start(*SMALL, "--maxmemory-policy", "allkeys-random")
    accepted = await server.fill()
    assert await server.count("ferryman:{q}:task:*") < accepted


@pytest.fixture
def small_disk(redis_program: str, tmp_path: Path) -> Iterator[tuple[str, Callable[[int], None]]]:
    """The address of a server with an AOF, and a way to limit the size of its files as a full disk would (0: none)."""
    port = _free_port()
    words = [redis_program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    # The signal of a file that is too large stays ignored, as it is in Python: the write fails instead.
    server = subprocess.Popen([*words, "--appendonly", "yes"], stdout=subprocess.PIPE, text=True, restore_signals=False)
    assert server.stdout
    assert any("Ready to accept connections" in line for line in server.stdout)
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size or soft, hard))

    yield f"redis://127.0.0.1:{port}/0", limit
    server.kill()
    server.wait(timeout=10)
    server.stdout.close()


async def test_a_disk_that_takes_no_more_is_a_write_error_until_it_does(
    small_disk: tuple[str, Callable[[int], None]],
) -> None:
    url, limit = small_disk
    server = Server(url)
    assert (await server.verdict()).reason == "AppendOnly"
    limit(4_096)

    async def refused() -> bool:
        try:
            await server.link.run(Broker("q").enqueue([NewTask("t", "echo", b'{"v": "%s"}' % (b"x" * 8_000))]))
        except BrokerUnavailable as error:
            return "MISCONF" in str(error)
        return False

    await _until(refused)
    found = await server.verdict()
    assert (found.durable, found.reason) == (False, "WriteErrors")
    fresh = Server(url)  # an operator that was started only now
    assert (await fresh.verdict()).reason == "WriteErrors"
    limit(0)

    async def well() -> bool:
        return (await server.verdict()).reason == "AppendOnly"

    await _until(well)
    await server.link.run(Broker("q").enqueue([NewTask("t2", "echo", b"{}")]))
    for one in (server, fresh):
        await one.link.close()


async def test_people_are_warned_by_stats_and_programs_are_not(start: Callable[..., Server]) -> None:
    server = start()
    await server.link.run(Broker("q").enqueue([NewTask("t", "echo", b"{}")]))
    words = ["stats", "q", "--redis", server.url]
    done = CliRunner().invoke(root, words)
    assert (
        done.stderr == "Warning: a restart of Redis loses tasks: it keeps no append-only file (set appendonly yes).\n"
    )
    assert CliRunner().invoke(root, [*words, "--json"]).stderr == ""
    await server.ask("CONFIG", "SET", "appendonly", "yes")
    assert CliRunner().invoke(root, words).stderr == ""


APP = """
import asyncio
from ferryman import Queue

queue = Queue("q")

@queue.task
async def echo(value: str = "") -> None:
    pass

@queue.task
async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)
"""


class Processes:
    """`ferryman worker` and `ferryman scheduler` on one server."""

    def __init__(self, directory: Path, url: str) -> None:
        self._directory = directory
        self._url = url
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        (directory / "app.py").write_text(APP)

    def start(self, *words: str) -> Callable[[], str]:
        """Returns what gives its log."""
        log = self._directory / f"{words[0]}-{len(self._running)}.log"
        settings = {"FERRYMAN_REDIS_URL": self._url, "FERRYMAN_PORT": "0", "FERRYMAN_RUN_DIR": str(self._directory)}
        settings |= {"FERRYMAN_TERMINATION_LOG": str(self._directory / "id"), "FERRYMAN_WORKER_TIMEOUT": "3s"}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "ferryman", *words],
                env={**os.environ, **settings},
                stderr=stderr,
                start_new_session=True,
            )
        self._running.append((process, log))
        return log.read_text

    def worker(self) -> Callable[[], str]:
        return self.start("worker", "q", "--app", str(self._directory / "app.py"))

    def end(self) -> None:
        for process, _ in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[[Server], Processes]]:
    made: list[Processes] = []

    def on(server: Server) -> Processes:
        made.append(Processes(tmp_path, server.url))
        return made[-1]

    yield on
    for one in made:
        one.end()


async def test_worker_and_scheduler_warn_once_at_their_start(
    start: Callable[..., Server], processes: Callable[[Server], Processes]
) -> None:
    server = start("--maxmemory-policy", "allkeys-lru")
    parts = processes(server)
    logs = [parts.worker(), parts.start("scheduler")]
    for log in logs:
        await _until(lambda log=log: "Evicts: Redis throws tasks away" in log())  # type: ignore[misc]
    await server.link.run(Broker("q").enqueue([NewTask("t", "echo", b"{}")]))
    await _until(lambda: _completed(server, 1))
    assert [log().count("Evicts") for log in logs] == [1, 1]


async def test_writes_that_are_refused_for_want_of_a_replica_are_tried_until_they_are_not(
    start: Callable[..., Server], processes: Callable[[Server], Processes]
) -> None:
    server = start("--appendonly", "yes")
    parts = processes(server)
    log = parts.worker()
    broker = Broker("q")
    await server.link.run(broker.announce())
    parts.start("scheduler")
    await _until(lambda: "serving queue" in log())
    await server.link.run(broker.enqueue([NewTask(f"n{i}", "nap", b'{"seconds": 1}') for i in range(5)]))
    await server.link.run(broker.enqueue([NewTask(f"d{i}", "echo", b"{}", delay_ms=1_500) for i in range(5)]))
    await server.link.run(broker.enqueue([NewTask(f"e{i}", "echo", b"{}") for i in range(200)]))
    await server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    with pytest.raises(BrokerUnavailable, match="min-replicas-to-write"):
        await server.link.run(broker.enqueue([NewTask("refused", "echo", b"{}")]))
    assert (await server.verdict()).reason == "AppendOnly"
    # It lasts longer than the worker's promise of 3 s, so it stops its code; nobody may take its tasks for lost.
    await _until(lambda: "no beat got through" in log())
    await server.ask("CONFIG", "SET", "min-replicas-to-write", "0")
    await server.link.run(broker.enqueue([NewTask("late", "echo", b"{}")]))
    try:
        await _until(lambda: _completed(server, 211))
    except TimeoutError:
        raise AssertionError(f"{await server.link.run(Inspector('q').stats())}\n{log()}") from None
    stats = await server.link.run(Inspector("q").stats())
    assert (stats.enqueued, stats.dead, stats.unaccounted) == (211, 0, 0)


async def _completed(server: Server, number: int) -> bool:
    return (await server.link.run(Inspector("q").stats())).completed == number


async def _until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := holds()) or (asyncio.iscoroutine(found) and not await found):
            await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
