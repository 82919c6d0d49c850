"""`ferryman cancel`: see that a task comes to no end."""

from __future__ import annotations

import click

from ferryman.cancelling import CancelOutcome
from ferryman.cancelling import cancel as cancel_task
from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import connected, queue_argument, redis_option, task_id_argument
from ferryman.plan import run_plan


@click.command()
@queue_argument
@task_id_argument
@redis_option
def cancel(queue: str, task_id: str, redis_url: str | None) -> None:
    """Cancel the task ID of QUEUE.

    What has not started is discarded. What is running is stopped by its worker within about a second: a coroutine gets
    CancelledError, the process of a run_in="process" handler is killed. The wish stays with the task: when its worker
    dies first, it does not run again. A handler in a thread can't be stopped.

    Exits 1 and says why when the task can't be stopped, has finished or is not known.

    \b
    Example:
      ferryman cancel emails welcome-42
    """
    with connected(redis_url) as link:
        done = run_plan(link, cancel_task(queue, task_id))
    if not done.accepted:
        raise CommandFailed(f"Task {task_id} of {queue}: {done.reason}.")
    click.echo(f"{task_id} discarded." if done.outcome is CancelOutcome.DISCARDED else f"{task_id}: {done.reason}.")
