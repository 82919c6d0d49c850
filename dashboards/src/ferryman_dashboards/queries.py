"""Every query of every dashboard, ready to be sent to a Prometheus: what Grafana would ask, without Grafana."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: How a variable asks for its values.
LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), *(?P<label>\w+)\)")


@dataclass(frozen=True, slots=True)
class Query:
    """One query, named by dashboard, panel and `ref` (a panel may have several).

    `panel` is the panel's title, `$name` where the query fills the variable `name`, or `@name` where it marks events.
    """

    dashboard: str
    panel: str
    ref: str
    expr: str
    legend: str


def list_queries(boards: Mapping[str, dict[str, Any]], variables: Mapping[str, str]) -> list[Query]:
    """The queries of `boards`, as build_all gives them, with `$name` replaced by `variables[name]`.

    A `label_values(selector, label)` becomes its selector: that has data exactly when the variable has values.
    `$__range`, the length of the time that is shown, is an hour unless `variables` says otherwise.
    Raises ValueError for a variable that has no value here.
    """
    values = {"__range": "1h", **variables}
    return [
        Query(q.dashboard, q.panel, q.ref, substitute(q.expr, values), q.legend)
        for board in boards.values()
        for q in (*_of_variables(board), *_of_events(board), *_of_panels(board))
    ]


def _of_variables(board: dict[str, Any]) -> Iterator[Query]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = LABEL_VALUES.fullmatch(variable["query"]["query"])
            if found is None:
                raise ValueError(f"{board['title']}: variable {variable['name']} is not a label_values(…)")
            yield Query(board["title"], f"${variable['name']}", "A", found["selector"], found["label"])


def _of_events(board: dict[str, Any]) -> Iterator[Query]:
    for mark in board.get("annotations", {}).get("list") or ():
        yield Query(board["title"], f"@{mark['name']}", "A", mark["expr"], "")


def _of_panels(board: dict[str, Any]) -> Iterator[Query]:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Query(board["title"], panel["title"], target["refId"], target["expr"], target.get("legendFormat", ""))


def substitute(expr: str, variables: Mapping[str, str]) -> str:
    """`expr` with `$name` and `${name}` replaced. Raises ValueError for a variable without a value."""

    def value(found: re.Match[str]) -> str:
        try:
            return variables[found[1] or found[2]]
        except KeyError:
            raise ValueError(f"no value for ${found[1] or found[2]} in {expr}") from None

    return re.sub(r"\$(\w+)|\$\{(\w+)\}", value, expr)
