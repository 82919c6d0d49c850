"""Fixtures of the tests with whole processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ferryman_bench import Bench
from ferryman_yard.programs import Start, programs
from ferryman_yard.yard import Yard


@pytest.fixture
async def yard(real_bench: Bench, redis_url: str, tmp_path: Path) -> AsyncIterator[Yard]:
    """A yard on the shared server. However a test ends, every task must be accounted for."""
    made = Yard(real_bench, redis_url, tmp_path)
    yield made
    made.end()
    assert (await real_bench.stats()).unaccounted == 0


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts `ferryman WORDS...`; what still runs at the end of the test is killed."""
    async with programs() as start:
        yield start
