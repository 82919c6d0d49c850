"""`ferryman worker`: reads the environment, starts a worker, exits with its code."""

from __future__ import annotations

import os
import sys

import click

from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import queue_argument, redis_option
from ferryman.errors import FerrymanError
from ferryman.logs import configure_from_env
from ferryman.settings import RedisSettings
from ferryman_worker.launch import launch
from ferryman_worker.settings import WorkerSettings


@click.command()
@queue_argument
@click.option(
    "--app",
    required=True,
    metavar="MODULE[,MODULE...]",
    help="The modules with the handlers: acme.tasks, or a path to a .py file.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tasks that may run at the same time. Default: $FERRYMAN_CONCURRENCY, then 10.",
)
@redis_option
def worker(queue: str, app: str, concurrency: int | None, redis_url: str | None) -> None:
    """Run the tasks of a queue.

    Stops cleanly on SIGTERM or Ctrl-C: it takes no more tasks, lets the running ones end, and gives back the
    rest. A second signal does not wait for them.

    \b
    Example:
      ferryman worker emails --app acme.tasks --concurrency 20
    """
    try:
        configure_from_env(os.environ)
        redis = RedisSettings.from_env(os.environ, redis_url)
        settings = WorkerSettings.from_env(os.environ, redis.url, concurrency)
        code = launch(settings, queue, app)
    except FerrymanError as error:
        raise CommandFailed(str(error)) from error
    sys.exit(code)
