"""From a panel's queries to what it draws: lines, or a table after the panel's own transformations."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryman_dashboards.preview.source import Prometheus, Series, Window
from ferryman_dashboards.queries import substitute

#: Gives the series of an expression; the second argument says whether only the last value is wanted.
Ask = Callable[[str, bool], list[Series]]


@dataclass(frozen=True, slots=True)
class Line:
    """A series under the name that its legend shows."""

    name: str
    series: Series


@dataclass(slots=True)
class Table:
    """Rows by column name; a cell is a text or a number."""

    columns: list[str]
    rows: list[dict[str, str | float]] = field(default_factory=list)


def asking(prometheus: Prometheus, window: Window, variables: Mapping[str, str]) -> Ask:
    """An Ask that replaces the dashboard's variables first."""

    def ask(expr: str, instant: bool) -> list[Series]:
        query = substitute(expr, variables)
        return prometheus.instant(query, window.end_s) if instant else prometheus.range(query, window)

    return ask


def lines_of(panel: Mapping[str, Any], ask: Ask) -> list[Line]:
    """All lines of a panel, in the order of its queries."""
    return [
        Line(_legend(target.get("legendFormat", ""), series.labels), series)
        for target in panel["targets"]
        for series in ask(target["expr"], bool(target.get("instant")))
    ]


def table_of(panel: Mapping[str, Any], ask: Ask) -> Table:
    """The rows of a table panel: queries merged by their labels, columns chosen and named, and sorted."""
    several = len(panel["targets"]) > 1
    merged: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
    for target in panel["targets"]:
        value = f"Value #{target['refId']}" if several else "Value"
        for series in ask(target["expr"], True):
            key = tuple(sorted(series.labels.items()))
            row = merged.setdefault(key, dict(series.labels))
            row[value] = series.values[-1]
    table = Table(sorted({name for row in merged.values() for name in row}), list(merged.values()))
    for step in panel.get("transformations", ()):
        if step["id"] == "organize":
            table = _organized(table, step["options"])
    for by in reversed(panel.get("options", {}).get("sortBy") or ()):
        descending = bool(by.get("desc"))
        table.rows.sort(key=lambda row, name=by["displayName"]: _rank(row.get(name)), reverse=descending)  # type: ignore[misc]
    return table


def _organized(table: Table, options: Mapping[str, Any]) -> Table:
    places: Mapping[str, int] = options.get("indexByName", {})
    shown = [name for name in places if not options.get("excludeByName", {}).get(name)]
    shown.sort(key=lambda name: places[name])
    names: Mapping[str, str] = options.get("renameByName", {})
    rows = [{names.get(name, name): row[name] for name in shown if name in row} for row in table.rows]
    return Table([names.get(name, name) for name in shown], rows)


def _rank(cell: str | float | None) -> tuple[int, float, str]:
    if cell is None:
        return (0, 0.0, "")
    return (1, cell, "") if isinstance(cell, float) else (2, 0.0, cell)


def _legend(template: str, labels: Mapping[str, str]) -> str:
    if not template:
        return ", ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), template)
