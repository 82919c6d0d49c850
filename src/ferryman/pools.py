"""Pools: the links of producers, opened at first use and kept for the next one.

Async links belong to one event loop of one process, sync links to one process. After a fork the child finds no
link under its own pid and opens one; the parent's connections are left alone. Nothing here needs closing by
hand: a loop that ends as asyncio.run ends it closes its links, and one that was just dropped is forgotten.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from ferryman.link import Link, SyncLink
from ferryman.replication import ReplicaWait
from ferryman.settings import RedisSettings


@dataclass(frozen=True, slots=True)
class _Open:
    link: Link
    closer: AsyncGenerator[Link, None]  # held, because its end closes the link


@dataclass(slots=True)
class _Replacement:
    link: Link | None = None
    sync_link: SyncLink | None = None


_links: dict[tuple[asyncio.AbstractEventLoop, int, str | None], _Open] = {}
_sync_links: dict[tuple[int, str | None], SyncLink] = {}
_replacement = _Replacement()


def link_for(url: str | None) -> Link:
    """The link of the running loop to `url`; None = as the environment says when it is first asked for.

    Raises RuntimeError when no loop runs, BadSetting or ValueError when there is no usable URL.
    """
    if _replacement.link is not None:
        return _replacement.link
    key = (asyncio.get_running_loop(), os.getpid(), url)
    found = _links.get(key)
    if found is None:
        _forget_closed_loops()
        found = _links[key] = _open(_resolve(url))
    return found.link


def sync_link_for(url: str | None) -> SyncLink:
    """The sync link of this process to `url`; threads share it, each call takes a connection of its pool.

    Raises BadSetting or ValueError when there is no usable URL.
    """
    if _replacement.sync_link is not None:
        return _replacement.sync_link
    key = (os.getpid(), url)
    # No lock, which a fork might copy while it is held: a link that loses this race has opened nothing yet.
    return _sync_links.get(key) or _sync_links.setdefault(key, SyncLink.from_url(_resolve(url)))


def replica_wait() -> ReplicaWait:
    """What the environment says about waiting for replicas. Raises BadSetting naming the variable."""
    return ReplicaWait.from_env(os.environ)


@contextmanager
def replaced(link: Link | None = None, sync_link: SyncLink | None = None) -> Generator[None]:
    """Inside, every producer of this process uses these links: for tests on a Redis of their own."""
    before = (_replacement.link, _replacement.sync_link)
    _replacement.link, _replacement.sync_link = link, sync_link
    try:
        yield
    finally:
        _replacement.link, _replacement.sync_link = before


def close_sync_links() -> None:
    """Close this process's sync links; the next call opens new ones and reads the environment again."""
    for key in [key for key in list(_sync_links) if key[0] == os.getpid()]:
        if link := _sync_links.pop(key, None):
            link.close()


def _resolve(url: str | None) -> str:
    return RedisSettings.from_env(os.environ, url).url


def _open(url: str) -> _Open:
    """Open a link that ends with its loop.

    A loop closes the async generators that were started in it before it ends itself: the one moment when
    connections can still be closed properly.
    """

    async def open_until_the_loop_ends() -> AsyncGenerator[Link, None]:
        link = Link.from_url(url)
        try:
            yield link
        finally:
            await link.close()

    closer = open_until_the_loop_ends()
    try:
        closer.__anext__().send(None)  # it reaches its yield without waiting for anything
    except StopIteration as reached:
        return _Open(reached.value, closer)
    raise AssertionError("opening a link must not wait")


def _forget_closed_loops() -> None:
    for key in list(_links):
        loop, pid, _ = key
        if loop.is_closed() and pid == os.getpid():
            _links.pop(key, None)
