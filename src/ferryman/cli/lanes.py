"""`ferryman lanes`: the busiest lanes of a queue, and what holds them back."""

from __future__ import annotations

import click

from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import connected, json_option, queue_argument, redis_option
from ferryman.cli.output import note, print_json, print_table
from ferryman.lane_figures import LaneRow, lane_name, read_lanes, running, starts

_HEADINGS = ("LANE", "BLOCKED", "WAITING", "RUNNING", "STARTS", "WAITS FOR")


@click.command()
@queue_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most.")
@redis_option
@json_option
def lanes(queue: str, limit: int, redis_url: str | None, as_json: bool) -> None:
    """List the lanes of QUEUE in which most tasks stand, and what these wait for.

    RUNNING is counted where lanes have a concurrency, STARTS where they have a rate. The lane `*` is the line that all
    tasks pass when the queue has a rate of its own.

    \b
    Example:
      ferryman lanes emails
      ferryman lanes emails --json | jq '.lanes[] | select(.blocked > 1000) | .lane'
    """
    with connected(redis_url) as link:
        figures = link.run(read_lanes(queue, limit))
        if not figures.lanes:
            note_unknown(link, queue)
    if as_json:
        rows = [row.to_json_dict() for row in figures.busiest]
        print_json({"queue": queue, "count": figures.lanes, "held_back": figures.held_back, "lanes": rows})
        return
    if not figures.lanes:
        note(f"No tasks stand in lanes of {queue}.")
        return
    print_table(_HEADINGS, [_row(row) for row in figures.busiest], numeric=_HEADINGS[1:-1])
    if figures.lanes > len(figures.busiest):
        note(f"These are the busiest of {figures.lanes:,}: --limit shows more.")


def _row(row: LaneRow) -> tuple[object, ...]:
    return (lane_name(row), row.blocked, row.waiting, running(row), starts(row), row.waits_for)
