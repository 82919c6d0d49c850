"""`ferryman schedules`: what is enqueued when; `ferryman fire`: one of them, now."""

from __future__ import annotations

from typing import Any

import click

from ferryman.broker import Broker
from ferryman.cli.failure import CommandFailed
from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import connected, json_option, queue_argument, redis_option
from ferryman.cli.output import note, print_json, print_table
from ferryman.durations import format_duration
from ferryman.manifest import nearest
from ferryman.schedule import task_id
from ferryman.schedule_view import schedules_view
from ferryman.timetable import Timetable


@click.command()
@queue_argument
@redis_option
@json_option
def schedules(queue: str, redis_url: str | None, as_json: bool) -> None:
    """List the schedules of QUEUE: those in its code and those of TaskSchedule objects.

    \b
    Example:
      ferryman schedules emails
      ferryman schedules emails --json | jq '.[] | select(.suspended)'
    """
    with connected(redis_url) as link:
        known = link.run(Timetable(queue).agree())
        if not known.entries:
            note_unknown(link, queue)
    views = schedules_view(known)
    if as_json:
        print_json(views)
    elif views:
        print_table(("NAME", "TASK", "WHEN", "TIME ZONE", "LAST", "NEXT", "FROM"), [_row(one) for one in views])
    else:
        note(f"{queue} has no schedules.")
    for damage in known.damage:
        note(f"Left out: {damage}")


@click.command()
@queue_argument
@click.argument("schedule")
@redis_option
def fire(queue: str, schedule: str, redis_url: str | None) -> None:
    """Enqueue the task of SCHEDULE now, beside its occurrences; prints its id.

    Works for a suspended schedule too. What comes next, and when, does not change.

    \b
    Example:
      ferryman fire emails digest
    """
    with connected(redis_url) as link:
        known = link.run(Timetable(queue).agree())
        found = {entry.schedule.name: entry.schedule for entry in known.entries}
        if schedule not in found:
            near = nearest(schedule, found)
            hint = f" Did you mean {near!r}?" if near else f" `ferryman schedules {queue}` lists them."
            raise CommandFailed(f"{queue} has no schedule {schedule!r}.{hint}")
        at_ms = known.now_ms if known.now_ms % 1000 else known.now_ms + 1  # never the id of an occurrence
        new = found[schedule].new_task(task_id(schedule, at_ms), at_ms)
        _, [reply] = link.run(Broker(queue).announce()), link.run(Broker(queue).enqueue([new]))
    click.echo(reply.id)


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    when = one["cron"] or f"every {format_duration(one['every_s'])}"
    following = "suspended" if one["suspended"] else one["next_at"] or "?"
    return (
        one["name"],
        one["task"],
        when,
        one["tz"] if one["cron"] else "-",
        one["last_fired_at"] or "-",
        following,
        one["origin"],
    )
