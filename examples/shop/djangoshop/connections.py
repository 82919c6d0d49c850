"""Recipe: database connections in a worker, which has no requests.

Django closes stale connections when a request begins and ends. A task is no request, so a thread of a worker would keep
a connection that the database has closed long ago, and fail with "server has gone away". Coroutines need none of this:
Django's a-methods run in a thread of Django's own.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from ferryman import Context, Middleware


class FreshConnections(Middleware):
    """Before and after each run, where it runs: connections that are broken, or older than CONN_MAX_AGE, are closed."""

    @contextmanager
    def around_run(self, ctx: Context[Any]) -> Generator[None]:
        """Around one run of a handler."""
        close_stale_connections()
        try:
            yield
        finally:
            close_stale_connections()


def close_stale_connections() -> None:
    """As Django's `close_old_connections`, which would also close one in a transaction: a TestCase has one open."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
