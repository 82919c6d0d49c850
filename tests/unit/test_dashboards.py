"""The dashboards: what is committed is what the code builds, the rules of Grafana's dashboard-linter hold, and every
query asks for metrics and labels that Ferryman exports."""

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from ferryman_dashboards import build_all, list_queries, render
from ferryman_dashboards.linter import RULES, Board, nodes, selectors
from ferryman_metrics import LABELS, exported

CHART = Path(__file__).parents[2] / "charts" / "ferryman"
COMMITTED = CHART / "dashboards"
BOARDS = build_all()
VALUES = {"namespace": "shop", "queue": "emails", "__rate_interval": "1m"}

TARGET = {"namespace", "pod", "job", "instance"}  # labels that Prometheus adds
EXPORTED = {metric.name: metric for metric in exported()}
METRICS = {name: set(metric.labels) for name, metric in EXPORTED.items()}

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
    assert committed == built, "run: make dashboards"


@pytest.mark.parametrize("query", list_queries(BOARDS, VALUES), ids=lambda q: f"{q.dashboard}, {q.panel}, {q.ref}")
def test_a_query_asks_only_for_what_is_exported(query: Any) -> None:
    known: set[str] = set()
    for selector in selectors(query.expr):
        metric = re.sub(r"_bucket$", "", str(selector.name))
        assert metric in METRICS
        labels = METRICS[metric] | TARGET | ({"le"} if metric != selector.name else set())
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels, f"{metric} has no label {matcher.name}"
            if matcher.name not in TARGET | {"le"} and not LABELS[matcher.name].bound:
                assert matcher.value in EXPORTED[metric].labels[matcher.name]
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
