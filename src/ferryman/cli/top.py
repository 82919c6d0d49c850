"""`ferryman top`: watch queues and workers live, or print them once."""

from __future__ import annotations

import os
import sys

import click

from ferryman.cli.failure import require
from ferryman.cli.lookup import note_unknown
from ferryman.cli.options import Milliseconds, connected, json_option, redis_option
from ferryman.cli.output import note
from ferryman.plan import run_plan
from ferryman.settings import RedisSettings


@click.command()
@click.option(
    "--queue",
    "queues",
    metavar="NAME",
    multiple=True,
    help="Only this queue; * and ? stand for anything, and it may be given several times. Quote it.",
)
@click.option("--once", is_flag=True, help="Print plain text and end; with --queue also workers and dead tasks.")
@click.option(
    "--interval", "interval_ms", metavar="DURATION", type=Milliseconds(), default="1s", help="Between refreshes. [1s]"
)
@redis_option
@json_option
def top(queues: tuple[str, ...], once: bool, interval_ms: int, redis_url: str | None, as_json: bool) -> None:
    """Watch queues and workers live in the terminal, and drive them by keys.

    5 adds five tasks to the queue under the cursor, d one that starts in ten seconds, h holds or resumes it, v revives
    dead tasks, r discards what waits (it asks first), x crashes a worker on purpose (it asks first). w lists workers
    and what they hold, e dead tasks and their errors, / filters, s sorts, ? shows all keys, q quits.

    With --once or --json, and where there is no terminal to draw on, the figures are printed once.

    \b
    Example:
      ferryman top --redis redis://127.0.0.1:6379/0
      ferryman top --once --queue 'mail-*'
      ferryman top --json | jq '.queues[] | select(.dead > 0).queue'
    """
    if once or as_json:
        _print_once(queues, redis_url, as_json)
    elif not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        note("There is no terminal to draw on, so this is printed once (as with --once).")
        _print_once(queues, redis_url, as_json)
    else:
        _watch(queues, redis_url, interval_ms)


def _print_once(queues: tuple[str, ...], redis_url: str | None, as_json: bool) -> None:
    from ferryman.dev.top.once import pictures, print_as_json, print_pictures

    with connected(redis_url) as link:
        found = run_plan(link, pictures(queues))
        for name in set(queues) - {one.stats.queue for one in found}:
            if not set("*?[") & set(name):
                note_unknown(link, name)
    if as_json:
        print_as_json(found)
    elif found:
        print_pictures(found)
    elif not queues:
        note("No queue is known here yet. `ferryman dev` starts an example of your own app.")


def _watch(queues: tuple[str, ...], redis_url: str | None, interval_ms: int) -> None:
    require("top", "dev", "textual")
    from ferryman.dev.top.app import TopApp
    from ferryman.link import Link

    settings = RedisSettings.from_env(os.environ, redis_url)
    with connected(redis_url):  # what is no URL is refused before the screen opens; it connects to nothing yet
        app = TopApp(
            lambda: Link.from_url(settings.url, client_name="ferryman-top"),
            settings.safe_url,
            interval_s=max(100, interval_ms) / 1000,
            patterns=queues,
        )
    app.run()
