"""The shop's tests: no Redis, no worker process, no waiting."""

from __future__ import annotations

import pytest

from ferryman.testing import Tester
from shop.tasks import queue
from tests.fakes import World


@pytest.fixture
def world(ferryman: Tester) -> World:
    """The outside of one test: what its handlers find in `ctx.deps`."""
    world = World()
    ferryman.override_deps(queue, world.outside())
    return world
