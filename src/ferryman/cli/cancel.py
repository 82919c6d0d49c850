"""`ferryman cancel`: discard a task that has not started."""

from __future__ import annotations

import click

from ferryman.broker import Broker
from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import connected, queue_argument, redis_option, task_id_argument

_WHY_NOT = {
    "active": "is running now; a worker holds it and will finish it",
    "finished": "has finished already",
    "missing": "is not known: it was never enqueued, or its kept status has expired",
}


@click.command()
@queue_argument
@task_id_argument
@redis_option
def cancel(queue: str, task_id: str, redis_url: str | None) -> None:
    """Discard the task ID of QUEUE, if it has not started.

    Exits 1 and says why when the task is running, finished or not known.

    \b
    Example:
      ferryman cancel emails welcome-42
    """
    with connected(redis_url) as link:
        outcome = link.run(Broker(queue).cancel(task_id))
    if outcome != "discarded":
        raise CommandFailed(f"task {task_id} of {queue} {_WHY_NOT.get(outcome, outcome)}.")
    click.echo(f"{task_id} discarded.")
