"""`ferryman tasks`: the tasks of a queue that are in one state."""

from __future__ import annotations

import click

from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import connected, json_option, queue_argument, redis_option, state_type
from ferryman.cli.output import note, print_json, print_table
from ferryman.overview import tasks_in
from ferryman.plan import run_plan
from ferryman.task import Task, TaskState
from ferryman.task_view import moment, task_view, waits_for


@click.command()
@queue_argument
@click.option("--state", type=state_type(), default=TaskState.WAITING.value, show_default=True, help="Which tasks.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most.")
@click.option("--offset", type=click.IntRange(0, 10_000), default=0, help="How many to pass over first.")
@redis_option
@json_option
def tasks(queue: str, state: str, limit: int, offset: int, redis_url: str | None, as_json: bool) -> None:
    """List the tasks of QUEUE that are in one state.

    \b
    Example:
      ferryman tasks emails --state dead
      ferryman tasks emails --state dead --json | jq -r '.[].id'
    """
    with connected(redis_url) as link:
        listing = run_plan(link, tasks_in(queue, TaskState(state), limit, offset))
        found = listing.tasks
        if not found:
            note_unknown(link, queue)
    if as_json:
        print_json([task_view(task) for task in found])
    elif found:
        print_table(("ID", "TASK", "ATTEMPT", "SINCE", "DETAIL"), [_row(task) for task in found], numeric=("ATTEMPT",))
    else:
        note(f"No {state} tasks in {queue}.")
    if listing.next_offset is not None:
        note(f"There may be more: --offset {listing.next_offset}.")


def _row(task: Task) -> tuple[object, ...]:
    return (task.id, task.name, task.attempt, moment(task.since_ms), _detail(task))


def _detail(task: Task) -> str:
    match task.state:
        case TaskState.DELAYED:
            return f"runs at {moment(task.run_at_ms)}"
        case TaskState.BLOCKED:
            return f"waits for {waits_for(task)}"
        case TaskState.ACTIVE:
            return f"on {task.worker}"
        case TaskState.DISCARDED:
            return task.why
        case TaskState.DEAD:
            return task.error.strip().partition("\n")[0][:80]
    return task.args.decode(errors="replace")[:80]
