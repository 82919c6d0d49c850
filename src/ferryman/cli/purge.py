"""`ferryman purge`, also called `reset`: discard what waits in a queue."""

from __future__ import annotations

import click

from ferryman.cli.failure import CommandFailed
from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import connected, json_option, queue_argument, redis_option, state_type
from ferryman.cli.output import Progress, note, print_json
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import SyncLink
from ferryman.plan import run_plan
from ferryman.sweep import DISCARDABLE_STATES, RESET_STATES, discard_all
from ferryman.task import TaskState


@click.command()
@queue_argument
@click.option(
    "--state",
    "states",
    multiple=True,
    type=state_type(*DISCARDABLE_STATES),
    help="Only tasks in this state; may be given again. Default: blocked, waiting, delayed and dead. "
    "`completed` forgets the kept status of completed tasks.",
)
@click.option("--yes", is_flag=True, help="Really do it. Without it, only says what would be discarded.")
@redis_option
@json_option
def purge(queue: str, states: tuple[str, ...], yes: bool, redis_url: str | None, as_json: bool) -> None:
    """Discard the blocked, waiting, delayed and dead tasks of QUEUE, for good.

    Tasks that are running finish. Other queues are not touched. The counters stay: what was discarded is
    counted as discarded.

    \b
    Example:
      ferryman purge emails --state dead --yes
    """
    chosen = [TaskState(state) for state in states] or list(RESET_STATES)
    with connected(redis_url) as link:
        before = link.run(Inspector(queue).stats())
        if not yes:
            raise CommandFailed(f"This would discard {_counted(before, chosen)} of {queue}. Add --yes to do it.")
        if not before.enqueued:
            note_unknown(link, queue)
        discarded = {state.value: _discard(link, queue, state) for state in chosen}
    if as_json:
        print_json({"queue": queue, "discarded": discarded})
        return
    click.echo(f"{queue}: discarded {', '.join(f'{count:,} {state}' for state, count in discarded.items())}.")
    if before.active:
        note(f"{before.active:,} active tasks go on running.")


def _discard(link: SyncLink, queue: str, state: TaskState) -> int:
    with Progress(f"discarded {state.value}") as progress:
        return run_plan(link, discard_all(queue, state, progress.at)).moved


def _counted(stats: QueueStats, states: list[TaskState]) -> str:
    kept = TaskState.COMPLETED  # their number is no figure of a queue: `completed` counts since the beginning
    named = [f"the kept {state}" if state is kept else f"{getattr(stats, state):,} {state}" for state in states]
    return f"{', '.join(named)} tasks"


#: The seed's word for it.
reset = purge
