"""`ferryman show`: all that is known of one task."""

from __future__ import annotations

import json
from typing import Any

import click

from ferryman.cli.failure import CommandFailed
from ferryman.cli.harmless import harmless, harmless_lines
from ferryman.cli.options import connected, json_option, queue_argument, redis_option, task_id_argument
from ferryman.cli.output import duration, print_json, print_table
from ferryman.cli.workflow import brief
from ferryman.inspector import Inspector
from ferryman.plan import run_plan
from ferryman.task import Task
from ferryman.task_view import progress_text, task_view
from ferryman.workflow_view import WorkflowView, workflow_of

_NEIGHBOURS = 10


@click.command()
@queue_argument
@task_id_argument
@redis_option
@json_option
def show(queue: str, task_id: str, redis_url: str | None, as_json: bool) -> None:
    """Show the task ID of QUEUE: state, arguments, progress, result, its runs that failed, and the last error.

    \b
    Example:
      ferryman show emails welcome-42
    """
    with connected(redis_url) as link:
        task = link.run(Inspector(queue).get(task_id))
        flow = run_plan(link, workflow_of(queue, task.flow)) if task and task.flow and not as_json else None
    if task is None:
        raise CommandFailed(
            f"{queue} knows no task {task_id}: it was never enqueued, was discarded, or its kept status has expired."
        )
    if as_json:
        print_json(task_view(task))
    else:
        _print(task)
        if flow is not None:
            _print_around(flow, task.id)


def _print_around(flow: WorkflowView, task_id: str) -> None:
    """The nodes before and after this one."""
    node = flow.node(task_id)
    if node is None:
        return
    before = [(one.name, one.state, "before it") for one in flow.nodes if one.name in node.after]
    after = [(one.name, one.state, "after it") for one in flow.followers(node.name)]
    click.echo(f"\nworkflow {flow.id}  {flow.state}; `ferryman workflow {flow.queue} {flow.id}` shows all of it")
    for rows in (before, after):
        if rows:
            print_table(("NODE", "STATE", ""), rows[:_NEIGHBOURS])
        if len(rows) > _NEIGHBOURS:
            click.echo(f"and {len(rows) - _NEIGHBOURS} more {rows[0][2]}")


def _print(task: Task) -> None:
    click.echo(click.style(f"{task.id}  {task.state.value}", bold=True))
    view = task_view(task)
    error, evidence, history = view.pop("error", ""), view.pop("evidence", []), view.pop("history", [])
    rows = {name: value for name, value in view.items() if name not in ("id", "state") and value not in (None, "", 0)}
    if isinstance(rows.get("progress"), dict):
        rows["progress"] = progress_text(rows["progress"])
    if isinstance(rows.get("options"), dict) and (binds := rows["options"].pop("binds", None)):
        rows |= {"takes": _taken(binds), "options": rows["options"]} if rows["options"] else {"takes": _taken(binds)}
        if not rows["options"]:
            del rows["options"]
    width = max(map(len, rows))
    for name, value in rows.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"  {name.ljust(width)}  {harmless(text)}")
    for crash in evidence:
        click.echo(f"  {'crash'.ljust(width)}  {harmless(json.dumps(crash, ensure_ascii=False))}")
    if history:
        click.echo()
        print_table(
            ("ATTEMPT", "STARTED", "RAN", "OUTCOME", "WORKER", "ERROR"),
            [_row(run) for run in history],
            numeric=("ATTEMPT", "RAN"),
        )
    if error:
        click.echo("\n" + click.style(harmless_lines(str(error).rstrip()), fg="red"))


def _taken(binds: dict[str, str | list[str]]) -> str:
    """Which nodes' results its parameters take."""
    return "; ".join(f"{name} = {one if isinstance(one, str) else brief(tuple(one))}" for name, one in binds.items())


def _row(run: dict[str, Any]) -> tuple[object, ...]:
    ran = _ran(run["run_s"])
    return run["attempt"], run["started_at"], ran, run["outcome"], run["worker"], run["error"] or ""


def _ran(run_s: float | None) -> str:
    if run_s is None:
        return "?"
    return duration(run_s) if run_s >= 1 else f"{run_s * 1000:.0f}ms"
