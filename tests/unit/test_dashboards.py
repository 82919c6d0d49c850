"""The dashboards: what is committed is what the code builds, the rules of Grafana's dashboard-linter hold, and every
query asks for metrics and labels that Ferryman exports."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from ferryman_dashboards import build_all, list_queries, render

Board = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "ferryman"
COMMITTED = CHART / "dashboards"
BOARDS = build_all()
VALUES = {"namespace": "shop", "queue": "emails", "__rate_interval": "1m"}

QUEUE = {"queue_namespace", "queue"}  # labels of what the operator exports: `namespace` is that of its own pod
TARGET = {"namespace", "pod", "job", "instance"}  # labels that Prometheus adds
METRICS = {
    "ferryman_tasks_total": {"queue", "task", "outcome"},
    "ferryman_task_run_seconds": {"queue", "task"},
    "ferryman_task_wait_seconds": {"queue"},
    "ferryman_tasks_in_progress": {"queue"},
    "ferryman_fetch_batch_tasks": {"queue"},
    "ferryman_flush_batch_tasks": {"queue"},
    "ferryman_stale_outcomes_total": {"queue"},
    "ferryman_broker_errors_total": {"queue"},
    "ferryman_promoted_total": {"queue"},
    "ferryman_recovered_total": {"queue", "to"},
    "ferryman_trimmed_total": {"queue", "state"},
    "ferryman_promotion_lag_seconds": {"queue"},
    "ferryman_scheduler_pass_seconds": {"loop"},
    "ferryman_scheduler_last_pass_timestamp_seconds": {"loop"},
    "ferryman_http_requests_total": {"method", "route", "status"},
    "ferryman_http_request_seconds": {"method", "route"},
    "ferryman_enqueued_total": {"queue"},
    "ferryman_queue_tasks": QUEUE | {"state"},
    "ferryman_queue_events_total": QUEUE | {"event"},
    "ferryman_queue_oldest_waiting_seconds": QUEUE,
    "ferryman_queue_unaccounted": QUEUE,
    "ferryman_queue_workers": QUEUE,
    "ferryman_queue_broker_reachable": QUEUE,
    "ferryman_workers_wanted": QUEUE,
    "ferryman_workers_ready": QUEUE,
    "ferryman_operator_decisions_total": QUEUE | {"reason"},
    "ferryman_operator_pass_seconds": set(),
    "ferryman_operator_last_pass_timestamp_seconds": set(),
}
LABEL_VALUES = {
    "state": {"waiting", "delayed", "active", "dead", "parked"},
    "event": {"enqueued", "completed", "failed", "retried", "recovered", "discarded"},
}
UNITS = {"short", "none", "s", "ops", "reqps", "percentunit", "bytes"}  # those of Grafana's that we use


def panels(board: Board) -> list[Any]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Board) -> Iterator[tuple[Any, Any]]:
    return ((panel, target) for panel in panels(board) for target in panel["targets"])


def parse(expr: str) -> promql_parser.Expr:
    return promql_parser.parse(re.sub(r"\$(\w+)", lambda found: VALUES[found[1]], expr))


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
    plain = [node for node, _ in nodes(expr) if isinstance(node, promql_parser.VectorSelector)]
    ranged = [node.vector_selector for node, _ in nodes(expr) if isinstance(node, promql_parser.MatrixSelector)]
    return plain + ranged


# The linter's rules: each yields one sentence per violation.


def template_datasource_rule(board: Board) -> Iterator[str]:
    found = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    if [(v["name"], v.get("label"), v["query"]) for v in found] != [("datasource", "Data source", "prometheus")]:
        yield "wants one variable `datasource`, labelled `Data source`, for Prometheus"


def template_label_promql_rule(board: Board) -> Iterator[str]:
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            if found is None or not selectors(found[1]):
                yield f"variable {variable['name']} is no label_values(selector, label)"


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
    for panel in panels(board):
        asked = [panel["datasource"], *(t["datasource"] for t in panel["targets"])]
        if any(source != {"type": "prometheus", "uid": "$datasource"} for source in asked):
            yield f"{panel['title']}: does not use $datasource"


def panel_title_description_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']}: has no title or no description"


def panel_units_rule(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            yield f"{panel['title']}: has no unit that Grafana knows"


def panel_no_targets_rule(board: Board) -> Iterator[str]:
    for panel in board["panels"]:
        if panel["type"] != "row" and not panel.get("targets"):
            yield f"{panel['title']}: asks nothing"


def target_promql_rule(board: Board) -> Iterator[str]:
    for panel, target in targets(board):
        try:
            parse(target["expr"])
        except ValueError as error:
            yield f"{panel['title']}: {error}"


def target_rate_interval_rule(board: Board) -> Iterator[str]:
    for panel, target in targets(board):
        if any(length != "$__rate_interval" for length in re.findall(r"\[(.+?)]", target["expr"])):
            yield f"{panel['title']}: a range other than $__rate_interval"


def target_counter_agg_rule(board: Board) -> Iterator[str]:
    for panel, target in targets(board):
        for node, above in nodes(target["expr"]):
            counter = isinstance(node, promql_parser.VectorSelector) and str(node.name).endswith("_total")
            if isinstance(node, promql_parser.MatrixSelector):
                call = above[-1] if above else None
                counter = not (isinstance(call, promql_parser.Call) and call.func.name in {"rate", "increase"})
            if counter:
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


Rule = Callable[[Board], Iterator[str]]
RULES: dict[str, Rule] = {
    name.replace("_", "-"): rule for name, rule in dict(globals()).items() if name.endswith("_rule")
}
EXCLUDED: dict[str, Any] = yaml.safe_load((COMMITTED / ".lint").read_text())["exclusions"]


@pytest.mark.parametrize("name", sorted(BOARDS))
@pytest.mark.parametrize("rule", sorted(RULES.keys() - EXCLUDED.keys()))
def test_the_rules_of_the_dashboard_linter_hold(rule: str, name: str) -> None:
    assert list(RULES[rule](BOARDS[name])) == []


def test_every_exclusion_names_a_rule_that_would_fail_and_gives_a_reason() -> None:
    assert [rule for rule in EXCLUDED if not EXCLUDED[rule]["reason"]] == []
    assert [rule for rule in EXCLUDED if not any(list(RULES[rule](board)) for board in BOARDS.values())] == []


def _set(*path: str | int, to: object) -> Callable[[Board], None]:
    def change(board: Board) -> None:
        place: Any = board
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


EXPR = ("panels", 0, "targets", 0, "expr")


@pytest.mark.parametrize(
    ("rule", "breakage"),
    [
        ("template-datasource-rule", _set("templating", "list", 0, "label", to="Source")),
        ("template-label-promql-rule", _set("templating", "list", 1, "query", "query", to="queues()")),
        ("template-on-time-change-reload-rule", _set("templating", "list", 1, "refresh", to=1)),
        ("panel-datasource-rule", _set("panels", 0, "targets", 0, "datasource", to={"uid": "prom"})),
        ("panel-title-description-rule", _set("panels", 0, "description", to="")),
        ("panel-units-rule", _set("panels", 0, "fieldConfig", "defaults", "unit", to="furlong")),
        ("panel-no-targets-rule", _set("panels", 0, "targets", to=[])),
        ("target-promql-rule", _set(*EXPR, to="sum(")),
        ("target-rate-interval-rule", _set(*EXPR, to="rate(x_total[5m])")),
        ("target-counter-agg-rule", _set(*EXPR, to="max(ferryman_enqueued_total)")),
        ("target-counter-agg-rule", _set(*EXPR, to="delta(ferryman_enqueued_total[$__rate_interval])")),
        ("uneditable-dashboard-rule", _set("editable", to=True)),
    ],
)
def test_a_broken_rule_is_found(rule: str, breakage: Callable[[Board], None]) -> None:
    board = copy.deepcopy(BOARDS["ferryman-queue.json"])
    breakage(board)
    assert len(list(RULES[rule](board))) == 1


def test_what_is_committed_is_what_the_code_builds() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.glob("*.json")}
    built = {name: render(board) for name, board in BOARDS.items()}
    assert committed == built, "run: python -m ferryman_dashboards write"


@pytest.mark.parametrize("query", list_queries(BOARDS, VALUES), ids=lambda q: f"{q.dashboard}, {q.panel}, {q.ref}")
def test_a_query_asks_only_for_what_is_exported(query: Any) -> None:
    known: set[str] = set()
    for selector in selectors(query.expr):
        metric = re.sub(r"_bucket$", "", str(selector.name))
        assert metric in METRICS
        labels = METRICS[metric] | TARGET | ({"le"} if metric != selector.name else set())
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels, f"{metric} has no label {matcher.name}"
            assert matcher.value in LABEL_VALUES.get(matcher.name, {matcher.value})
        known |= labels
    assert known, "a query without a metric"
    for node, _ in nodes(query.expr):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            assert set(node.modifier.labels) <= known
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= known


def test_the_queue_dashboard_asks_for_one_queue_in_every_query() -> None:
    for query in list_queries({"queue": BOARDS["ferryman-queue.json"]}, VALUES):
        for selector in () if query.panel.startswith("$") else selectors(query.expr):
            values = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
            assert values["queue"] == "emails"
            where = "queue_namespace" if "queue_namespace" in METRICS.get(str(selector.name), ()) else "namespace"
            assert values[where] == "shop", query.expr


def test_the_figures_of_the_first_web_page_are_on_top() -> None:
    top = [panel["title"] for panel in BOARDS["ferryman-queue.json"]["panels"] if panel["gridPos"]["y"] == 0]
    assert top[:6] == ["Waiting", "Active", "Scheduled", "Workers", "Throughput", "Failure rate"]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_lie_on_the_grid_and_never_on_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_titles_are_unique_so_that_a_query_can_be_named() -> None:
    named = [(q.dashboard, q.panel, q.ref) for q in list_queries(BOARDS, VALUES)]
    assert len(named) == len(set(named))


def test_a_variable_without_a_value_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no value for \$queue"):
        list_queries(BOARDS, {"namespace": "shop", "__rate_interval": "1m"})


def test_dashboards_can_be_imported_by_hand() -> None:
    for path in COMMITTED.glob("*.json"):
        board = json.loads(path.read_text(encoding="utf-8"))
        assert board["uid"] == path.stem
        assert "id" not in board
