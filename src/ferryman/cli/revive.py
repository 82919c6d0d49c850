"""`ferryman revive`: dead tasks back to waiting."""

from __future__ import annotations

import click

from ferryman.broker import Broker
from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import TaskId, connected, queue_argument, redis_option
from ferryman.cli.output import Progress
from ferryman.plan import run_plan
from ferryman.sweep import revive_all


@click.command()
@queue_argument
@click.argument("ids", metavar="[ID]...", nargs=-1, type=TaskId())
@click.option("--all", "everything", is_flag=True, help="Every task that is dead now, the oldest first.")
@redis_option
def revive(queue: str, ids: tuple[str, ...], everything: bool, redis_url: str | None) -> None:
    """Move dead tasks of QUEUE back to waiting, with all their attempts: the named ones, or --all.

    \b
    Example:
      ferryman revive emails welcome-42
      ferryman revive emails --all
    """
    if bool(ids) == everything:
        raise click.UsageError("Name the tasks to revive, or give --all.")
    with connected(redis_url) as link:
        if everything:
            with Progress("revived") as progress:
                revived = run_plan(link, revive_all(queue, progress.at)).moved
        else:
            moved = set(link.run(Broker(queue).revive(ids)).ids)
            if missing := [task_id for task_id in ids if task_id not in moved]:
                raise CommandFailed(
                    f"not dead in {queue}: {', '.join(missing)}. Revived: {len(moved)}.\n"
                    f"`ferryman tasks {queue} --state dead` lists the dead ones."
                )
            revived = len(moved)
    click.echo(f"{revived:,} revived.")
