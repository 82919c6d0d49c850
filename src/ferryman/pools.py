"""Pools: the links of producers, opened at first use and kept for the next one.

Async links belong to one event loop of one process, sync links to one process. After a fork the child finds no
link under its own pid and opens one; the parent's connections are left alone. Nothing here needs closing by
hand: a loop that ends as asyncio.run ends it closes its links, and one that was just dropped is forgotten.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager

import msgspec

from ferryman.link import Link, SyncLink
from ferryman.replication import NO_WAIT, ReplicaWait
from ferryman.settings import RedisSettings


class _Open(msgspec.Struct, frozen=True):
    link: Link
    closer: AsyncGenerator[Link, None]  # held, because its end closes the link


class _Pools(msgspec.Struct, frozen=True):
    open_link: Callable[[str | None], Link]
    open_sync_link: Callable[[str | None], SyncLink]
    is_replacement: bool
    links: dict[tuple[asyncio.AbstractEventLoop, int, str | None], _Open] = msgspec.field(default_factory=dict)
    sync_links: dict[tuple[int, str | None], SyncLink] = msgspec.field(default_factory=dict)


def link_for(url: str | None) -> Link:
    """The link of the running loop to `url`; None = as the environment says when it is first asked for.

    Raises RuntimeError when no loop runs, BadSetting or ValueError when there is no usable URL.
    """
    pools = _pools
    key = (asyncio.get_running_loop(), os.getpid(), url)
    found = pools.links.get(key)
    if found is None:
        _forget_closed_loops(pools)
        found = pools.links[key] = _until_the_loop_ends(pools.open_link(url))
    return found.link


def sync_link_for(url: str | None) -> SyncLink:
    """The sync link of this process to `url`; threads share it, each call takes a connection of its pool.

    Raises BadSetting or ValueError when there is no usable URL.
    """
    pools = _pools
    key = (os.getpid(), url)
    # No lock, which a fork might copy while it is held: a link that loses this race has opened nothing yet.
    return pools.sync_links.get(key) or pools.sync_links.setdefault(key, pools.open_sync_link(url))


def replica_wait() -> ReplicaWait:
    """What the environment says about waiting for replicas. Raises BadSetting naming the variable."""
    return NO_WAIT if _pools.is_replacement else ReplicaWait.from_env(os.environ)


@contextmanager
def replaced(open_link: Callable[[], Link], open_sync_link: Callable[[], SyncLink]) -> Generator[None]:
    """Inside, every producer of this process uses links made by these, whatever its URL: for tests.

    Loops and processes have links of their own here, too. The environment is not asked.
    """
    global _pools
    before = _pools
    _pools = mine = _Pools(lambda _: open_link(), lambda _: open_sync_link(), is_replacement=True)
    try:
        yield
    finally:
        close_sync_links()
        _pools = before
        # A loop that still lives closes its links when it ends, if they are held until then.
        _outlived[:] = [(loop, opened) for loop, opened in _outlived if not loop.is_closed()]
        _outlived.extend((loop, opened) for (loop, _, _), opened in mine.links.items())


def close_sync_links() -> None:
    """Close this process's sync links; the next call opens new ones and reads the environment again."""
    for key in [key for key in list(_pools.sync_links) if key[0] == os.getpid()]:
        if link := _pools.sync_links.pop(key, None):
            link.close()


def _resolve(url: str | None) -> str:
    return RedisSettings.from_env(os.environ, url).url


def _until_the_loop_ends(link: Link) -> _Open:
    """Hold a link until the running loop ends.

    A loop closes the async generators that were started in it before it ends itself: the one moment when
    connections can still be closed properly.
    """

    async def hold() -> AsyncGenerator[Link, None]:
        try:
            yield link
        finally:
            await link.close()

    closer = hold()
    try:
        closer.__anext__().send(None)  # it reaches its yield without waiting for anything
    except StopIteration:
        return _Open(link, closer)
    raise AssertionError("holding a link must not wait")


def _forget_closed_loops(pools: _Pools) -> None:
    for key in list(pools.links):
        loop, pid, _ = key
        if loop.is_closed() and pid == os.getpid():
            pools.links.pop(key, None)


#: Links of `replaced` whose loop may have gone on after it.
_outlived: list[tuple[asyncio.AbstractEventLoop, _Open]] = []

_pools = _Pools(
    lambda url: Link.from_url(_resolve(url)), lambda url: SyncLink.from_url(_resolve(url)), is_replacement=False
)
