"""`make bench-scale`: what each operation costs Redis with 1,000 tasks and with a million, with 10 workers and 10,000,
and with 10 queues and 500. Ends with 1 when one grows faster than a logarithm and is not known to.

Starts a Valkey of its own. The durations are Redis' own, so neighbours on the machine show in the 99 % more than in the
median; the server runs in real time where the system allows it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click
import msgspec
from growing.growth import Line, Scale, markdown, text
from growing.kinds import KINDS, KNOWN, measured
from promotion_storm import server
from tables.machine import server_version
from tables.page import begin, fill

from ferryman.link import SyncLink

JSON = Path(__file__).parent / "results" / "scale.json"


def measure(kinds: list[str], samples: int, largest: int) -> Scale:
    """Each kind on an empty server."""
    lines: list[Line] = []
    bytes_each: dict[str, float] = {}
    load, version = os.getloadavg()[0], ""
    for kind in KINDS:
        if kind.name not in kinds:
            continue
        with server() as url:
            link = SyncLink.from_url(url, reply_timeout_s=60)
            try:
                version = server_version(link)
                found, each = measured(kind, link, samples, largest, lambda words: click.echo(words, err=True))
            finally:
                link.close()
        lines += found
        if kind.unit:
            bytes_each[kind.unit] = each
    return Scale(time.strftime("%Y-%m-%d %H:%M"), round(load, 1), version, samples, lines, bytes_each)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, type=click.Choice([kind.name for kind in KINDS]), help="May be given again.")
@click.option("--samples", type=click.IntRange(1), default=100, show_default=True, help="Of each operation at a size.")
@click.option("--largest", type=int, default=1_000_000, show_default=True, help="Leave out sizes above it.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), default=JSON, help="Where the figures go.")
@click.option("--from", "from_file", type=click.Path(exists=True, path_type=Path), help="Show what this file has.")
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the table into this page.")
def main(
    only: tuple[str, ...], samples: int, largest: int, json_file: Path, from_file: Path | None, page: Path | None
) -> None:
    """See the module."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server is ended
    if from_file:
        found = msgspec.json.decode(from_file.read_bytes(), type=Scale)
    else:
        found = measure(list(only) or [kind.name for kind in KINDS], samples, largest)
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    click.echo(text(found))
    if page:
        fill(page, markdown(found), begin("bench-scale"))
        click.echo(f"{page} has the table now")
    names = {kind.title: kind.name for kind in KINDS}
    grew = [line for line in found.lines if not line.holds]
    for line in grew:
        why = KNOWN.get((names[line.kind], line.operation), "NEW")
        click.echo(f"grows with the number of {line.kind}: {line.operation} ({line.ratio:.0f}x; {why})", err=True)
    if any((names[line.kind], line.operation) not in KNOWN for line in grew):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
