"""Fresh connections: a worker has no requests, at whose begin and end Django closes stale connections.

A thread of a worker would keep a connection that the database has closed long ago, and fail with "server has gone
away". So would the one thread that Django's a-methods run in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import SyncToAsync
from django.db import connections

from ferryman.context import Context
from ferryman.middleware import Middleware


class FreshConnections(Middleware):
    """Before and after each run, connections that are broken or older than CONN_MAX_AGE are closed, where they are
    used: `Queue("emails", middlewares=[FreshConnections()])`."""

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        """Around one run of a handler."""
        close = _close_for_coroutines if _is_in_a_loop() else close_stale_connections
        close()
        try:
            yield
        finally:
            close()


def close_stale_connections() -> None:
    """As Django's `close_old_connections`, which would also close one in a transaction: a TestCase has one open."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _close_for_coroutines() -> None:
    """Coroutines have no connections of their own: asgiref takes their queries to one thread, in order.

    What is given to that thread here comes before the queries of the run that begins, so nobody needs to wait.
    """
    SyncToAsync.single_thread_executor.submit(close_stale_connections)


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
