"""`ferryman top`: watch queues and workers live."""

from __future__ import annotations

import os

import click

from ferryman.cli.failure import require
from ferryman.cli.options import redis_option
from ferryman.settings import RedisSettings


@click.command()
@redis_option
def top(redis_url: str | None) -> None:
    """Watch queues and workers live in the terminal, and drive them by keys.

    5 adds five tasks to the queue under the cursor, d one that starts in ten seconds, h holds or resumes it,
    v revives its dead tasks, r discards what waits (it asks first), q quits.

    \b
    Example:
      ferryman top --redis redis://127.0.0.1:6379/0
    """
    require("top", "dev", "textual")
    from ferryman.dev.top.app import TopApp
    from ferryman.link import Link

    settings = RedisSettings.from_env(os.environ, redis_url)
    TopApp(lambda: Link.from_url(settings.url, client_name="ferryman-top"), settings.safe_url).run()
