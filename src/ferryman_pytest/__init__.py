"""The pytest plugin: the fixture `ferryman`, a Tester.

A package of its own, because pytest loads plugins at every start, also where no test uses them, and rewrites the
assertions of the package that they lie in. So it imports nothing of ferryman until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ferryman.testing.server import Server
    from ferryman.testing.tester import Tester

_KINDS = ("fake", "embedded")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --ferryman-redis, and the ini setting of the same name."""
    described = "where the fixture `ferryman` keeps tasks: fake (in memory, the default) or embedded (a real Valkey)"
    parser.getgroup("ferryman").addoption("--ferryman-redis", choices=_KINDS, default=None, help=described)
    parser.addini("ferryman_redis", described, default="fake")


@pytest.fixture(scope="session")
def ferryman_server(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """The server that all tests of this session use, one after another; None = a fake one for each test."""
    config = request.config
    kind = config.getoption("--ferryman-redis") or config.getini("ferryman_redis")
    if kind not in _KINDS:
        raise pytest.UsageError(f"ferryman_redis = {kind!r} is none of {', '.join(_KINDS)}")
    if kind == "fake":
        yield None
        return
    from ferryman.testing.embedded_redis import EmbeddedRedis

    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def ferryman(ferryman_server: Server | None) -> Iterator[Tester]:
    """The tasks of this test: what was enqueued, a worker that runs them when told to, and a clock that it moves."""
    from ferryman.testing.tester import Tester

    with Tester(ferryman_server) as tester:
        yield tester
