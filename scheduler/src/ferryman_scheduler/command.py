"""`ferryman scheduler`, the service, and `ferryman recover`, one pass of it."""

from __future__ import annotations

import asyncio
import errno
import os

import click

from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import QueueName, json_option, redis_option, unreachable
from ferryman.cli.output import print_json
from ferryman.errors import BrokerUnavailable
from ferryman.link import Link
from ferryman.logs import configure_from_env
from ferryman.settings import RedisSettings
from ferryman_scheduler.connection import Connection
from ferryman_scheduler.metrics import Metrics
from ferryman_scheduler.one_pass import Summary, pass_over
from ferryman_scheduler.service import serve
from ferryman_scheduler.settings import SchedulerSettings


@click.command()
@click.option(
    "--queue",
    "queues",
    metavar="QUEUE",
    multiple=True,
    type=QueueName(),
    help="Look after this queue; may be given several times. Default: every queue that is known, new ones too.",
)
@redis_option
def scheduler(queues: tuple[str, ...], redis_url: str | None) -> None:
    """Promote delayed tasks, recover the tasks of dead workers, fire schedules, and trim; until SIGTERM or Ctrl-C.

    Any number of schedulers may run at the same time. /livez, /readyz and /metrics are on FERRYMAN_PORT (8080).

    \b
    Example:
      ferryman scheduler --queue emails --queue reports
    """
    try:
        configure_from_env(os.environ)
        settings = SchedulerSettings.from_env(os.environ)
        metrics = Metrics()
        connection = Connection(lambda: RedisSettings.from_env(os.environ, redis_url), metrics.round_trip)
    except ValueError as error:
        raise _no_url(redis_url, error) from error
    try:
        asyncio.run(serve(queues, settings.port, connection, metrics))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise CommandFailed("FERRYMAN_PORT: the port is taken; choose another one, or 0 for any") from error


@click.command()
@click.argument("queues", metavar="QUEUE...", nargs=-1, required=True, type=QueueName())
@redis_option
@json_option
def recover(queues: tuple[str, ...], redis_url: str | None, as_json: bool) -> None:
    """Recover the tasks of dead workers, promote what is due, fire schedules, trim; once.

    Takes a few seconds: nobody is declared dead on one look. Use it when no scheduler runs; beside one it is
    harmless.

    \b
    Example:
      ferryman recover emails reports
    """
    configure_from_env(os.environ)
    settings = RedisSettings.from_env(os.environ, redis_url)
    try:
        link = Link.from_url(settings.url, client_name="ferryman-recover")
    except ValueError as error:
        raise _no_url(redis_url, error) from error
    try:
        summaries = asyncio.run(_pass(link, list(dict.fromkeys(queues))))
    except BrokerUnavailable as error:
        raise CommandFailed(unreachable(settings, error)) from error
    if as_json:
        rows = [summary.to_json_dict() for summary in summaries]
        print_json(rows[0] if len(queues) == 1 else rows)
    else:
        for summary in summaries:
            click.echo(_line(summary))
    if failed := [summary.queue for summary in summaries if summary.error]:
        raise CommandFailed(f"Redis refused to work on {', '.join(failed)}")


async def _pass(link: Link, queues: list[str]) -> list[Summary]:
    try:
        return await pass_over(link, queues)
    finally:
        await link.close()


def _line(one: Summary) -> str:
    if one.error:
        return f"{one.queue}  {one.error}"
    parts = [f"recovered {one.recovered} to waiting, {one.to_dead} to dead, {one.handed} lost hand-overs"]
    parts.append(f"promoted {one.promoted}")
    if one.fired:
        parts.append(f"fired {one.fired} schedules")
    parts.append(f"trimmed {one.forgotten} completed, {one.discarded} dead")
    if one.suspected:
        parts.append(f"{one.suspected} silent workers still without a verdict")
    return f"{one.queue}  {'; '.join(parts)}"


def _no_url(redis_url: str | None, error: ValueError) -> CommandFailed:
    shown = RedisSettings.from_env(os.environ, redis_url).safe_url
    return CommandFailed(f"{shown!r} is no Redis URL: {error}. Example: redis://127.0.0.1:6379/0")
