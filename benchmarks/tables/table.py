"""The table: each figure of each workload, ours beside the peers', with ratios. As text for people and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tables.machine import QUIET_LOAD
from tables.results import Image, Results, Run, Sitting
from tables.statistics import Ratio, Summary, ratio, summary
from workloads.measure import Figure, Workload

#: A figure of one peer, by sitting and repetition.
Values = dict[tuple[int, int], float]

HEAD = ("what", "Ferryman", "spread", "best peer", "to it", "BullMQ", "to it", "Celery", "to it")


@dataclass(frozen=True, slots=True)
class Cell:
    """One peer's figure, and ours compared with it."""

    peer: str
    value: Summary
    ratio: Ratio | None  # ours over theirs, or theirs over ours where less is better: above 1 we are ahead


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `own` is None when we have none; `cells` has the peers, the best first."""

    figure: Figure
    own: Summary | None
    cells: tuple[Cell, ...]

    def cell(self, peer: str) -> Cell | None:
        """That peer's, if it was measured."""
        return next((cell for cell in self.cells if cell.peer == peer), None)


def rows(results: Results, workloads: Sequence[Workload], own: frozenset[str]) -> list[Row]:
    """A row for each figure that anybody has."""
    found = []
    for workload in workloads:
        for figure in workload.figures:
            ours: Values = {}
            for name in sorted(own):
                ours |= results.values(workload.name, name, figure.name)
            # What is shown is of the newest sitting; ratios are within each.
            newest = [value for (sitting, _), value in ours.items() if sitting == max(ours)[0]]
            theirs = {
                name: values
                for name in results.versions
                if name not in own and (values := results.values(workload.name, name, figure.name))
            }
            cells = [
                Cell(name, summary(list(values.values())), _ahead(figure, ours, values))
                for name, values in theirs.items()
            ]
            cells.sort(key=lambda cell: cell.value.median, reverse=figure.more_is_better)
            if ours or cells:
                found.append(Row(figure, summary(newest) if newest else None, tuple(cells)))
    return found


def _ahead(figure: Figure, ours: Values, theirs: Values) -> Ratio | None:
    """How many times better ours is, by the repetitions of one sitting that have both."""
    both = sorted(ours.keys() & theirs.keys())
    mine, others = [ours[one] for one in both], [theirs[one] for one in both]
    return ratio(mine, others) if figure.more_is_better else ratio(others, mine)


def cells_of(row: Row) -> tuple[str, ...]:
    """A row as it is shown, in the order of HEAD."""
    best = row.cells[0] if row.cells else None
    own = "-" if row.own is None else f"{number(row.own.median)} {row.figure.unit}"
    spread = "" if row.own is None or row.own.count < 2 else f"{number(row.own.low)} to {number(row.own.high)}"
    shown = [row.figure.title, own, spread, "-" if best is None else f"{number(best.value.median)} ({best.peer})"]
    shown.append(_times(best))
    for peer in ("bullmq", "celery"):
        cell = row.cell(peer)
        shown += ["-" if cell is None else number(cell.value.median), _times(cell)]
    return tuple(shown)


def number(value: float) -> str:
    """Three figures that count: 0.31, 4.2, 31.5, 412, 17,300."""
    if value == 0:
        return "0"
    if abs(value) < 10:
        return f"{value:.2g}" if abs(value) < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{value:.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:,.0f}"


def _times(cell: Cell | None) -> str:
    if cell is None or cell.ratio is None:
        return ""
    return f"{number(cell.ratio.median)}x"


def text(table: Sequence[Row]) -> str:
    """Columns for a terminal."""
    lines = [HEAD, *map(cells_of, table)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEAD))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "-" * len(shown[0]), *shown[1:]])


def peers_text(table: Sequence[Row]) -> str:
    """Every peer's figure, a line for each figure."""
    lines = []
    for row in table:
        ranked = ", ".join(f"{cell.peer} {number(cell.value.median)}" for cell in row.cells)
        lines.append(f"{row.figure.title} ({row.figure.unit}): {ranked or 'no peer'}")
    return "\n".join(lines)


def markdown(results: Results, table: Sequence[Row]) -> str:
    """The table for a page, with what must be known to read it."""
    m = results.latest.machine
    head = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    body = [f"| {' | '.join(cells_of(row))} |" for row in table]
    every = ["| what | every peer, the best first |", "|---|---|"]
    for row in table:
        ranked = ", ".join(f"{cell.peer} {number(cell.value.median)}" for cell in row.cells)
        every.append(f"| {row.figure.title} ({row.figure.unit}) | {ranked or '-'} |")
    return "\n".join([*about(results), "", *head, *body, "", *every, "", f"`{m.processor}`, {m.system}."])


def about(results: Results) -> list[str]:
    """Sentences on it: when, where, what, how often, and whether it may be trusted; of each sitting, when several."""
    lines = []
    for place, sitting in enumerate(results.sittings):
        busy = sitting.machine.load_before
        runs = [run for run in results.runs if run.sitting == place]
        of = "" if len(results.sittings) == 1 else f" Sitting {place + 1}:"
        if busy > QUIET_LOAD:
            lines.append(f"**Provisional:{of} the machine had a load of {busy:.1f} when this began.**")
        if sitting.scale < 1 or sitting.repetitions < 5:
            some = f"{sitting.repetitions} repetitions at {sitting.scale:g} of the usual load"
            lines.append(f"**Not a full run:{of} {some}.**")
        if len(results.sittings) > 1:
            lines.append(f"Sitting {place + 1}: {_when(sitting, runs)} {_what(runs)}")
    m = results.latest.machine
    on = f"{m.cores} cores, {m.memory_gib:g} GiB, Python {m.python}, {m.server}"
    if len(results.sittings) == 1:
        lines.append(f"{on}. {_when(results.latest, results.runs)}")
    else:
        lines.append(f"{on}. Measured in {len(results.sittings)} sittings; ratios are of runs in the same one.")
        others = {(s.machine.processor, s.machine.cores, s.machine.server, s.machine.python) for s in results.sittings}
        if len(others) > 1:
            lines.append("**The sittings were on different machines or versions: only ratios can be compared.**")
    lines.append("Versions: " + ", ".join(f"{name} {version}" for name, version in results.versions.items()) + ".")
    left_out = [name for s in results.sittings for name in s.left_out if name not in results.versions]
    if left_out:
        lines.append("Not installed, so left out: " + ", ".join(dict.fromkeys(left_out)) + ".")
    images = {name: image for sitting in results.sittings for name, image in sitting.images.items()}
    if images:
        lines.append("Images: " + ", ".join(_size(*image) for image in images.items()) + ".")
    return lines


def _when(sitting: Sitting, runs: Sequence[Run]) -> str:
    """One sentence: the date, how often, the loads, and how fast the machine was."""
    loads, loops_ms = [run.load for run in runs], [run.calibration_ms for run in runs]
    return (
        f"{sitting.taken_at}, {sitting.repetitions} repetitions, interleaved; load {min(loads, default=0):.1f} to "
        f"{max(loads, default=0):.1f}; the fixed loop took {min(loops_ms, default=0):.0f} to "
        f"{max(loops_ms, default=0):.0f} ms."
    )


def _what(runs: Sequence[Run]) -> str:
    """The workloads of these, each with its peers."""
    peers: dict[str, list[str]] = {}
    for run in runs:
        if run.peer not in peers.setdefault(run.workload, []):
            peers[run.workload].append(run.peer)
    workloads: dict[str, list[str]] = {}
    for workload, names in peers.items():
        workloads.setdefault(", ".join(names), []).append(workload)
    return "; ".join(f"{', '.join(names)} of {who}" for who, names in workloads.items()) + "."


def _size(name: str, image: Image | None) -> str:
    if image is None:
        return f"{name} not built"
    return f"{name} {image.bytes / 1e6:,.0f} MB ({image.compressed_bytes / 1e6:,.0f} MB compressed)"
