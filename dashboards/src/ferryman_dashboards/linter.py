"""The rules of Grafana's dashboard-linter, on dashboards as build_all gives them.

The linter is a Go program of its own. These rules have its names and intent, so its `.lint` file applies to both.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import promql_parser

Board = dict[str, Any]

#: The units of Grafana's that the dashboards use.
UNITS = {"short", "none", "s", "ops", "reqps", "percentunit", "bytes"}


def panels(board: Board) -> list[Any]:
    """What a person sees: not the rows that panels lie under."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def data_panels(board: Board) -> list[Any]:
    """Panels that show data; of the others the linter asks no data source, unit or query."""
    return [panel for panel in panels(board) if panel["type"] != "text"]


def targets(board: Board) -> Iterator[tuple[Any, Any]]:
    """Every query with its panel."""
    return ((panel, target) for panel in data_panels(board) for target in panel.get("targets", ()))


def parse(expr: str) -> promql_parser.Expr:
    """An expression as a tree; raises ValueError when it is no PromQL."""
    # As a variable's value `1m` will do, also where it is a range.
    return promql_parser.parse(re.sub(r"\$\w+", "1m", expr))


def nodes(expr: str) -> list[tuple[promql_parser.Expr, list[promql_parser.Expr]]]:
    """Every node of an expression with its ancestors, the nearest last."""
    found: list[tuple[promql_parser.Expr, list[promql_parser.Expr]]] = []
    path: list[promql_parser.Expr] = []

    def enter(node: promql_parser.Expr) -> None:
        found.append((node, list(path)))
        path.append(node)

    def leave(_: promql_parser.Expr) -> None:
        path.pop()

    promql_parser.walk(parse(expr), enter, leave)
    return found


def selectors(expr: str) -> list[promql_parser.VectorSelector]:
    """Where an expression names a metric."""
    return [node for node, _ in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]


def template_datasource_rule(board: Board) -> Iterator[str]:
    found = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    if [(v["name"], v.get("label"), v["query"]) for v in found] != [("datasource", "Data source", "prometheus")]:
        yield "wants one variable `datasource`, labelled `Data source`, for Prometheus"


def template_label_promql_rule(board: Board) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            if found is None or not _selects(found[1]):
                yield f"variable {variable['name']} is no label_values(selector, label)"


def _selects(expr: str) -> bool:
    try:
        return bool(selectors(expr))
    except ValueError:
        return False


def template_on_time_change_reload_rule(board: Board) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"variable {variable['name']} does not reload when the time range changes"


def template_job_rule(board: Board) -> Iterator[str]:
    if "job" not in {v["name"] for v in board["templating"]["list"]}:
        yield "has no variable job"


def template_instance_rule(board: Board) -> Iterator[str]:
    if "instance" not in {v["name"] for v in board["templating"]["list"]}:
        yield "has no variable instance"


def panel_datasource_rule(board: Board) -> Iterator[str]:
    for panel in data_panels(board):
        asked = [panel["datasource"], *(t["datasource"] for t in panel["targets"])]
        if any(source != {"type": "prometheus", "uid": "$datasource"} for source in asked):
            yield f"{panel['title']}: does not use $datasource"


def panel_title_description_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']}: has no title or no description"


def panel_units_rule(board: Board) -> Iterator[str]:
    for panel in data_panels(board):
        looks = [
            prop["value"]
            for over in panel["fieldConfig"]["overrides"]
            for prop in over["properties"]
            if prop["id"] == "unit"
        ]
        if not {panel["fieldConfig"]["defaults"].get("unit"), *looks} <= UNITS:
            yield f"{panel['title']}: has no unit that Grafana knows"


def panel_no_targets_rule(board: Board) -> Iterator[str]:
    for panel in data_panels(board):
        if not panel.get("targets"):
            yield f"{panel['title']}: asks nothing"


def target_promql_rule(board: Board) -> Iterator[str]:
    for panel, target in targets(board):
        try:
            parse(target["expr"])
        except ValueError as error:
            yield f"{panel['title']}: {error}"


def target_logql_rule(board: Board) -> Iterator[str]:
    # Nothing here reads LogQL, so a query to Loki would be one that nobody has checked.
    for panel, target in targets(board):
        if target.get("datasource", {}).get("type") == "loki":
            yield f"{panel['title']}: asks Loki, and no rule here reads its queries"


def target_rate_interval_rule(board: Board) -> Iterator[str]:
    # As in the linter, only rate() and irate(): increase() may look at all that the page shows.
    for panel, target in targets(board):
        if any(length != "$__rate_interval" for length in re.findall(r"\bi?rate\([^()\[]*\[(.+?)]", target["expr"])):
            yield f"{panel['title']}: a range other than $__rate_interval"


def target_counter_agg_rule(board: Board) -> Iterator[str]:
    for panel, target in targets(board):
        for node, above in nodes(target["expr"]):
            if not isinstance(node, promql_parser.VectorSelector) or not str(node.name).endswith("_total"):
                continue
            call = above[-2] if len(above) > 1 and isinstance(above[-1], promql_parser.MatrixSelector) else None
            if not (isinstance(call, promql_parser.Call) and call.func.name in {"rate", "irate", "increase"}):
                yield f"{panel['title']}: a counter outside of rate() and increase()"


def _unmatched(board: Board, label: str) -> Iterator[str]:
    for panel, target in targets(board):
        for selector in selectors(target["expr"]):
            if label not in {matcher.name for matcher in selector.matchers.matchers}:
                yield f"{panel['title']}: {selector.name} without a matcher for {label}"


def target_job_rule(board: Board) -> Iterator[str]:
    return _unmatched(board, "job")


def target_instance_rule(board: Board) -> Iterator[str]:
    return _unmatched(board, "instance")


def uneditable_dashboard_rule(board: Board) -> Iterator[str]:
    if board.get("editable", True):
        yield "can be edited by hand"


#: The rules by the linter's names; each yields one sentence per violation.
RULES: dict[str, Callable[[Board], Iterator[str]]] = {
    name.replace("_", "-"): rule for name, rule in dict(globals()).items() if name.endswith("_rule")
}
