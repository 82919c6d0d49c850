"""Links of producers: one per loop and process, closed with their loop, never shared with a forked child."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ferryman import pools
from ferryman.link import Link
from ferryman.settings import BadSetting


class RecordedLink:
    """Stands for a Link; knows whether it was closed while its loop could still do that."""

    opened: list[RecordedLink]

    def __init__(self, url: str) -> None:
        self.url = url
        self.closed_in: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        for _ in range(20):  # a real one takes some turns of the loop, too
            await asyncio.sleep(0)
        self.closed_in = asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def links(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RecordedLink]]:
    opened: list[RecordedLink] = []

    def from_url(url: str) -> Any:
        opened.append(RecordedLink(url))
        return opened[-1]

    monkeypatch.setattr(Link, "from_url", from_url)
    monkeypatch.delenv("FERRYMAN_REDIS_URL", raising=False)
    monkeypatch.delenv("FERRYMAN_REDIS_URL_FILE", raising=False)
    yield opened
    pools.close_sync_links()


async def first_and_second(url: str | None) -> tuple[Any, Any]:
    first = pools.link_for(url)
    await asyncio.sleep(0)
    return first, pools.link_for(url)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_each_loop_has_its_link_and_closes_it_when_it_ends(factory: Any, links: list[RecordedLink]) -> None:
    for _ in range(3):
        with asyncio.Runner(loop_factory=factory) as runner:
            loop = runner.get_loop()
            first, second = runner.run(first_and_second("redis://x"))
            assert first is second
            assert first.closed_in is None
        assert first.closed_in is loop
    assert len(links) == 3


def test_links_of_loops_that_were_just_dropped_are_forgotten(links: list[RecordedLink]) -> None:
    before = len(pools._pools.links)
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(first_and_second("redis://x"))
        loop.close()
    assert len(pools._pools.links) <= before + 1


def test_loops_in_many_threads_do_not_share(links: list[RecordedLink]) -> None:
    def produce() -> None:
        asyncio.run(first_and_second("redis://x"))

    threads = [threading.Thread(target=produce) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(links) == 8
    assert all(link.closed_in for link in links)


def test_links_of_a_replacement_are_closed_by_their_loop_even_after_it() -> None:
    made: list[Any] = []

    def open_link() -> Any:
        made.append(RecordedLink("a test's"))
        return made[-1]

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        with pools.replaced(open_link, open_link):
            first, second = runner.run(first_and_second("redis://x"))
        assert first is second is made[0]
        gc.collect()
        assert first.closed_in is None
    assert first.closed_in is loop


def test_two_urls_are_two_links() -> None:
    async def both() -> bool:
        return pools.link_for("redis://x") is pools.link_for("redis://y")

    assert asyncio.run(both()) is False


def test_without_a_loop_there_is_no_async_link() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        pools.link_for("redis://x")


def test_threads_share_one_sync_link() -> None:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(pools.sync_link_for("redis://x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_a_forked_child_opens_its_own_links() -> None:
    program = """
import asyncio, os, sys
from ferryman import pools

sync = pools.sync_link_for("redis://x")
async def parent():
    link = pools.link_for("redis://x")
    child = os.fork()
    if child == 0:
        async def own():
            return pools.link_for("redis://x")
        ok = pools.sync_link_for("redis://x") is not sync and asyncio.run(own()) is not link
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pools.sync_link_for("redis://x") is sync and pools.link_for("redis://x") is link
asyncio.run(parent())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


async def test_the_environment_is_read_at_first_use_and_in_order(
    links: list[RecordedLink], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def url_in_a_new_loop(given: str | None = None) -> str:
        thread = threading.Thread(target=lambda: asyncio.run(first_and_second(given)))
        thread.start()
        thread.join()
        return links[-1].url

    secret = tmp_path / "url"
    secret.write_text("redis://from-file\n")
    assert url_in_a_new_loop() == "redis://127.0.0.1:6379/0"
    monkeypatch.setenv("FERRYMAN_REDIS_URL_FILE", str(secret))
    assert url_in_a_new_loop() == "redis://from-file"
    monkeypatch.setenv("FERRYMAN_REDIS_URL", "redis://from-env")
    assert url_in_a_new_loop() == "redis://from-env"
    assert url_in_a_new_loop("redis://given") == "redis://given"
    monkeypatch.delenv("FERRYMAN_REDIS_URL")
    monkeypatch.setenv("FERRYMAN_REDIS_URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(BadSetting, match="FERRYMAN_REDIS_URL_FILE"):
        pools.link_for(None)
