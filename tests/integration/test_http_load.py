"""A thousand clients at once: whatever was answered with 201 is in Redis, also when the API is killed in between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_crowd import QUEUE, Crowd, missing
from ferryman_yard.api_process import ApiProcess

from ferryman.inspector import Inspector
from ferryman.link import Link

pytestmark = pytest.mark.alone  # a thousand clients are a load for the whole machine

CLIENTS = 1000


@pytest.fixture
def api(redis_url: str, tmp_path: Path) -> Iterator[ApiProcess]:
    process = ApiProcess(redis_url, tmp_path)
    yield process
    process.stop()


async def test_a_thousand_clients_lose_no_accepted_task(api: ApiProcess, redis_url: str, real_link: Link) -> None:
    crowd = Crowd(api.port, CLIENTS, tasks=2)
    await crowd.post_all()
    assert len(set(crowd.accepted)) == CLIENTS * 2
    assert await missing(redis_url, crowd.accepted) == []
    stats = await real_link.run(Inspector(QUEUE).stats())
    assert (stats.waiting, stats.enqueued, stats.unaccounted) == (CLIENTS * 2, CLIENTS * 2, 0)
    assert crowd.resent == 0, api.log.read_text()


async def test_an_api_that_is_killed_under_load_loses_and_doubles_nothing(
    api: ApiProcess, redis_url: str, real_link: Link
) -> None:
    crowd = Crowd(api.port, CLIENTS, tasks=2)
    posting = asyncio.create_task(crowd.post_all())
    await asyncio.wait_for(crowd.half_accepted.wait(), 120)
    api.kill()
    accepted_before = list(crowd.accepted)
    assert len(accepted_before) < CLIENTS * 2, "the kill came too late to prove anything"
    await asyncio.to_thread(api.start)
    await posting
    assert crowd.resent > 0
    assert await missing(redis_url, accepted_before) == []
    assert await missing(redis_url, crowd.accepted) == []
    stats = await real_link.run(Inspector(QUEUE).stats())
    assert (stats.waiting, stats.enqueued, stats.unaccounted) == (CLIENTS * 2, CLIENTS * 2, 0)
