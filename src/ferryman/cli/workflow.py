"""`ferryman workflow`: the nodes of a workflow, and how far each has come."""

from __future__ import annotations

import click

from ferryman.cli.failure import CommandFailed
from ferryman.cli.options import connected, json_option, queue_argument, redis_option
from ferryman.cli.output import print_json, print_table
from ferryman.errors import InvalidTask
from ferryman.plan import run_plan
from ferryman.workflow_plan import check_flow_id
from ferryman.workflow_view import NodeView, workflow_of


@click.command()
@queue_argument
@click.argument("flow", metavar="ID")
@redis_option
@json_option
def workflow(queue: str, flow: str, redis_url: str | None, as_json: bool) -> None:
    """Show the workflow ID of QUEUE: its nodes, what each waits for, and their states.

    \b
    Example:
      ferryman workflow orders order-42
    """
    try:
        check_flow_id(flow)
    except InvalidTask as error:
        raise click.UsageError(str(error)) from error
    with connected(redis_url) as link:
        found = run_plan(link, workflow_of(queue, flow))
    if found is None:
        raise CommandFailed(
            f"{queue} knows no workflow {flow}: it was never sent, or it has ended and its kept status has expired."
        )
    if as_json:
        print_json(found.to_json_dict())
        return
    click.echo(click.style(f"{found.id}  {found.state}", bold=True))
    print_table(("NODE", "TASK", "STATE", "AFTER", "REMARKS"), [_row(node) for node in found.nodes])


def _row(node: NodeView) -> tuple[object, ...]:
    return node.name, node.task, node.state, brief(node.after), _remarks(node)


def brief(names: tuple[str, ...], most: int = 5) -> str:
    """The first few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _remarks(node: NodeView) -> str:
    undo = f"undone by {node.compensate}" if node.compensate else f"undoes {node.undoes}" if node.undoes else ""
    ignored = "its failure is ignored" if node.on_failure == "ignore" else ""
    return ", ".join(filter(None, (ignored, undo)))
