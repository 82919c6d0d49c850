"""A crash test notices by itself when Redis, or this machine, gets on with nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ferryman.call import command
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.standstill import Standstills
from ferryman.link import Link


async def test_a_redis_that_does_not_answer_is_seen(redis_url: str, real_link: Link) -> None:
    watching = Link.from_url(redis_url)
    standstills = Standstills(watching)
    watch = asyncio.create_task(standstills.watch())
    await watching.run(command("PING", read=str))
    from_ms = now_ms()
    await real_link.run(command("CLIENT", "PAUSE", 1_500, "ALL", read=str))
    await real_link.run(command("PING", read=str))
    to_ms = now_ms()
    # A busy machine may have stood still as well: what counts is that nothing of the pause was missed.
    async with asyncio.timeout(20):
        while not any(since < from_ms + 1_000 and until > from_ms + 1_400 for since, until in standstills.gaps):
            await asyncio.sleep(0.02)
    assert all(since <= until for since, until in standstills.gaps)
    assert sum(until - since for since, until in standstills.gaps) >= to_ms - from_ms - 1_000
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    await watching.close()
