"""`ferryman hold` and `ferryman resume`: stop and restart the fetching of a queue."""

from __future__ import annotations

import click

from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import connected, queue_argument, redis_option
from ferryman.policy import QueuePolicy


@click.command()
@queue_argument
@redis_option
def hold(queue: str, redis_url: str | None) -> None:
    """Stop workers from fetching tasks of QUEUE.

    Running tasks finish, new ones are still accepted and wait. `ferryman resume` ends it.

    \b
    Example:
      ferryman hold emails
    """
    _set(queue, redis_url, on=True)
    click.echo(f"{queue} is held. `ferryman resume {queue}` lets workers fetch again.")


@click.command()
@queue_argument
@redis_option
def resume(queue: str, redis_url: str | None) -> None:
    """Let workers fetch tasks of QUEUE again.

    \b
    Example:
      ferryman resume emails
    """
    _set(queue, redis_url, on=False)
    click.echo(f"{queue} is running.")


def _set(queue: str, redis_url: str | None, *, on: bool) -> None:
    with connected(redis_url) as link:
        note_unknown(link, queue)
        link.run(QueuePolicy(queue).hold(on))
