"""The dashboards: what is committed is what the code builds, every query asks for metrics and labels that Ferryman
exports, and every panel says what it shows, in which unit, and from where on it is bad."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ferryman_dashboards import build_all, list_queries, render
from ferryman_dashboards.linter import data_panels, nodes, panels, selectors
from ferryman_metrics import LABELS, exported

CHART = Path(__file__).parents[2] / "charts" / "ferryman"
COMMITTED = CHART / "dashboards"
BOARDS = build_all()
VALUES = {"namespace": "shop", "queue": "emails", "__rate_interval": "1m"}

TARGET = {"namespace", "pod", "job", "instance"}  # labels that Prometheus adds
#: The values of each label of each metric; some metrics come from several programs, with other labels and values.
METRICS: dict[str, dict[str, set[str]]] = {
    # Every program has these from Prometheus' Python client.
    "process_resident_memory_bytes": {},
    "process_cpu_seconds_total": {},
}
for metric in exported():
    for label, values in metric.labels.items():
        METRICS.setdefault(metric.name, {}).setdefault(label, set()).update(values)
    METRICS.setdefault(metric.name, {})


def test_what_is_committed_is_what_the_code_builds() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in COMMITTED.glob("*.json")}
    built = {name: render(board) for name, board in BOARDS.items()}
    assert committed == built, "run: make dashboards"


@pytest.mark.parametrize("query", list_queries(BOARDS, VALUES), ids=lambda q: f"{q.dashboard}, {q.panel}, {q.ref}")
def test_a_query_asks_only_for_what_is_exported(query: Any) -> None:
    known: set[str] = set()
    for selector in selectors(query.expr):
        metric = re.sub(r"_(bucket|sum|count)$", "", str(selector.name))
        assert metric in METRICS
        labels = METRICS[metric].keys() | TARGET | ({"le"} if str(selector.name).endswith("_bucket") else set())
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels, f"{metric} has no label {matcher.name}"
            if matcher.name not in TARGET | {"le"} and not LABELS[matcher.name].bound:
                assert set(matcher.value.split("|")) <= METRICS[metric][matcher.name]
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
    assert top[:7] == ["Waiting", "Active", "Scheduled", "Workers", "Throughput", "Failure rate", "Completed"]


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_panels_lie_on_the_grid_and_never_on_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_a_row_of_panels_is_full(name: str) -> None:
    widths: dict[int, int] = {}
    for panel in panels(BOARDS[name]):
        at = panel["gridPos"]
        widths[at["y"]] = widths.get(at["y"], 0) + at["w"]
    assert set(widths.values()) == {24}


EACH_PANEL = [
    pytest.param(panel, id=f"{board['title']}, {panel['title']}")
    for board in BOARDS.values()
    for panel in panels(board)
]
EACH_DATA_PANEL = [
    pytest.param(panel, id=f"{board['title']}, {panel['title']}")
    for board in BOARDS.values()
    for panel in data_panels(board)
]

#: Figures that only tell how much; of every other single figure some values are bad, and their colour says so.
NEITHER_GOOD_NOR_BAD = {
    "Active",
    "Completed",
    "Oldest waiting",  # beside it: Oldest of target
    "Queues",
    "Scheduled",
    "Throughput",
    "Waiting",
    "Workers",
}


@pytest.mark.parametrize("panel", EACH_PANEL)
def test_a_panel_has_a_short_title_and_says_in_sentences_what_it_shows(panel: Any) -> None:
    assert 3 <= len(panel["title"]) <= 30
    assert panel["description"][0].isupper()
    assert panel["description"].rstrip("`").endswith((".", "`"))
    assert len(panel["description"]) <= 260


@pytest.mark.parametrize("panel", EACH_DATA_PANEL)
def test_a_panel_has_a_unit_and_thresholds(panel: Any) -> None:
    look = panel["fieldConfig"]["defaults"]
    assert look["unit"]
    steps = look["thresholds"]["steps"]
    assert look["thresholds"]["mode"] == "absolute"
    assert steps[0]["value"] is None
    bounds = [step["value"] for step in steps[1:]]
    assert bounds == sorted(bounds)
    if panel["type"] == "stat":
        assert (len(steps) == 1) == (panel["title"] in NEITHER_GOOD_NOR_BAD)


@pytest.mark.parametrize("panel", EACH_DATA_PANEL)
def test_a_graph_draws_the_thresholds_that_it_has(panel: Any) -> None:
    if panel["type"] == "timeseries":
        look = panel["fieldConfig"]["defaults"]
        drawn = look["custom"].get("thresholdsStyle", {}).get("mode") == "dashed"
        assert drawn == (len(look["thresholds"]["steps"]) > 1)


@pytest.mark.parametrize("panel", EACH_DATA_PANEL)
def test_five_hundred_queues_give_at_most_ten_lines(panel: Any) -> None:
    """A query answers for one queue, for all of them together, for the ten that matter most, or in a table."""
    assert "repeat" not in panel
    if panel["type"] == "table":
        assert panel.get("options", {}).get("sortBy") or len(panel["targets"]) < 10
        return
    for target in panel["targets"]:
        many = re.search(r"\bby \((?:[\w, ]*\bqueue\b|namespace)[^)]*\)", target["expr"])
        outermost = re.match(r"(sum|max|count)\(", target["expr"])
        assert not many or outermost or "topk(10, " in target["expr"], target["expr"]


def test_every_dashboard_leads_to_the_others_to_the_runbooks_and_the_queues_one_to_commands() -> None:
    for board in BOARDS.values():
        others, runbooks = board["links"]
        assert (others["type"], others["tags"], others["includeVars"]) == ("dashboards", ["ferryman"], True)
        assert board["tags"] == ["ferryman"]
        assert runbooks["url"] == "${runbooks}"
    queue = BOARDS["ferryman-queue.json"]
    [words] = [panel for panel in panels(queue) if panel["type"] == "text"]
    assert "kubectl -n ${namespace} describe taskqueue ${queue}" in words["options"]["content"]
    names = {variable["name"] for variable in queue["templating"]["list"]}
    assert set(re.findall(r"\$\{(\w+)\}", words["options"]["content"])) <= names


def test_a_check_that_wants_somebody_leads_to_a_runbook_that_there_is() -> None:
    [table] = [panel for panel in panels(BOARDS["ferryman-queue.json"]) if panel["title"] == "Checks"]
    pages = re.findall(r'"runbook", "([\w-]+)"', table["targets"][0]["expr"])
    assert len(pages) == len(re.findall('"check"', table["targets"][0]["expr"])) > 8
    runbooks = {path.stem for path in (CHART.parents[1] / "docs" / "runbooks").glob("*.md")}
    assert set(pages) <= runbooks


def test_scalings_and_recoveries_are_marked() -> None:
    marks = BOARDS["ferryman-queue.json"]["annotations"]["list"]
    assert [(mark["name"], mark["enable"]) for mark in marks] == [("Scaled", True), ("Recovered", True)]


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


def test_every_outcome_has_a_colour_of_its_own() -> None:
    panel = next(one for one in data_panels(BOARDS["ferryman-queue.json"]) if one["title"] == "Outcomes of runs")
    colors = {
        override["matcher"]["options"]: setting["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for setting in override["properties"]
        if setting["id"] == "color"
    }
    assert set(colors) == METRICS["ferryman_tasks_total"]["outcome"]
    assert len(set(colors.values())) == len(colors)
