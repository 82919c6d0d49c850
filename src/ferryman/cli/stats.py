"""`ferryman stats`: the figures of queues."""

from __future__ import annotations

import click

from ferryman.cli.figures import print_figures
from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import QueueName, connected, json_option, redis_option
from ferryman.cli.output import note, print_json
from ferryman.durability import judge, questions
from ferryman.inspector import QueueStats
from ferryman.overview import figures_of, remarks
from ferryman.plan import run_plan


@click.command()
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, type=QueueName())
@redis_option
@json_option
def stats(queues: tuple[str, ...], redis_url: str | None, as_json: bool) -> None:
    """Show the figures of queues; with no QUEUE, of all that are known.

    With --json one object for one named QUEUE, a list otherwise. `completed`, `failed`, `retried`, `recovered`,
    `discarded` and `enqueued` count from the beginning; the others are what is there now. `unaccounted` is what
    the counters cannot explain: always 0 unless somebody edited Redis by hand.

    \b
    Example:
      ferryman stats
      ferryman stats emails --json | jq .waiting
    """
    with connected(redis_url) as link:
        figures = run_plan(link, figures_of(queues or None, exact=True))
        for one in figures:
            if not one.enqueued and not one.workers:
                note_unknown(link, one.queue)
        kept = None if as_json else judge(link.run_all(questions()))
    if as_json:
        rows = [one.to_json_dict() for one in figures]
        print_json(rows[0] if len(queues) == 1 else rows)
    elif not figures:
        note("No queue is known here yet. `ferryman dev` starts an example of your own app.")
    elif len(figures) == 1:
        _print_one(figures[0])
    else:
        print_figures(figures)
    if kept and kept.durable is False:
        click.echo(click.style(f"Warning: {kept.message}.", fg="yellow"), err=True)


def _print_one(one: QueueStats) -> None:
    title = f"{one.queue}  {remarks(one)}".rstrip()
    click.echo(click.style(title, bold=True))
    values = {name: value for name, value in one.to_json_dict().items() if name != "queue"}
    values["oldest_waiting_s"] = f"{one.oldest_waiting_s:.1f}"
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"  {name.ljust(width)}  {value:>10}")
