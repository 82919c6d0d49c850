"""The processes of a crash test: who waits for its workers goes on when a look at Redis fails."""

from __future__ import annotations

from pathlib import Path

from ferryman.crashtest.cast import Cast
from ferryman.link import Link


async def test_a_look_that_redis_does_not_answer_finds_no_worker_and_breaks_nothing_off(tmp_path: Path) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    log = tmp_path / "log"
    cast = Cast("crash-test", tmp_path, log, {}, lambda place: nowhere, workers=2, schedulers=0, api_port=0)
    link = Link.from_url(nowhere)
    assert await cast.wait_for_workers(link, within_s=0.3) == ["worker-0", "worker-1"]
    await link.close()
