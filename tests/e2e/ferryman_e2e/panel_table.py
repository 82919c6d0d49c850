"""What every panel of every dashboard shows of a queue: the number of series, the latest and the highest value."""

import json
import math
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ferryman_e2e.prometheus import SCRAPE_S, Line, Prometheus

_ROOT = Path(__file__).resolve().parents[3]
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One query of a panel, and what it says."""

    dashboard: str
    panel: str
    ref: str
    expr: str
    series: int
    with_values: int
    latest: dict[str, float | None]
    highest: float | None


def rows(prometheus: Prometheus, namespace: str, queue: str, since_s: float, until_s: float) -> list[Row]:
    """Asks what the dashboards ask about this queue, between two moments (epoch)."""
    command = [sys.executable, "-m", "ferryman_dashboards", "queries", "--namespace", namespace, "--queue", queue]
    command += ["--rate-interval", f"{5 * SCRAPE_S}s", "--range", f"{until_s - since_s:.0f}s"]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(_ROOT / "dashboards/src")}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [
        _row(query, prometheus.lines(query["expr"], since_s, until_s), until_s) for query in json.loads(done.stdout)
    ]


def text(found: Iterable[Row]) -> str:
    """The table that a person reads."""
    lines, dashboard = [], ""
    for row in found:
        if row.dashboard != dashboard:
            dashboard = row.dashboard
            lines.append(f"\n{dashboard:40} {'series':>6}  {'highest':>9}  latest")
        latest = ", ".join(f"{name}{_number(value)}" for name, value in row.latest.items())
        if len(latest) > _WIDTH:
            latest = latest[: _WIDTH - 1] + "…"
        lines.append(f"  {row.panel[:34]:34} {row.ref:3} {row.series:6}  {_number(row.highest):>9}  {latest}")
    return "\n".join(lines)


def save(found: Iterable[Row], path: Path) -> None:
    """The same as JSON."""
    path.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n", encoding="utf-8")


def _row(query: dict[str, str], lines: list[Line], until_s: float) -> Row:
    # A line that has ended says nothing of now: what is drawn of an event is in the past.
    current = [line for line in lines if line.points and line.points[-1][0] > until_s - 2 * SCRAPE_S]
    return Row(
        dashboard=query["dashboard"],
        panel=query["panel"],
        ref=query["ref"],
        expr=query["expr"],
        series=len(lines),
        with_values=sum(bool(line.points) for line in lines),
        latest={_named(query["legend"], line): line.latest for line in current},
        highest=max((line.highest for line in lines if line.points), default=None),
    )


def _named(legend: str, line: Line) -> str:
    """The line's name in front of its value: what tells it from the panel's other lines."""
    for label, value in line.labels.items():
        legend = legend.replace("{{" + label + "}}", value)
    rest = {label: value for label, value in line.labels.items() if label not in ("__name__", "job", "instance")}
    return f"{legend or '/'.join(rest.values())} "


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if math.isinf(value) or value == int(value) else f"{value:.3g}"
