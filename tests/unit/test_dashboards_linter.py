"""The rules of Grafana's dashboard-linter: all hold but those that are excluded for a reason, and each can fail."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ferryman_dashboards import build_all
from ferryman_dashboards.linter import RULES, Board

COMMITTED = Path(__file__).parents[2] / "charts" / "ferryman" / "dashboards"
BOARDS = build_all()
EXCLUDED: dict[str, Any] = yaml.safe_load((COMMITTED / ".lint").read_text())["exclusions"]

#: Those of docs/index.md in grafana/dashboard-linter, and the ones that its code has beside them.
OF_THE_LINTER = {
    "template-datasource-rule",
    "template-job-rule",
    "template-instance-rule",
    "template-label-promql-rule",
    "template-on-time-change-reload-rule",
    "panel-datasource-rule",
    "panel-title-description-rule",
    "panel-units-rule",
    "panel-no-targets-rule",
    "target-promql-rule",
    "target-logql-rule",
    "target-rate-interval-rule",
    "target-job-rule",
    "target-instance-rule",
    "target-counter-agg-rule",
    "uneditable-dashboard-rule",
}


def test_all_rules_of_the_linter_are_here() -> None:
    assert RULES.keys() == OF_THE_LINTER


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
LOKI = {"type": "loki", "uid": "$datasource"}
UNIT = {"matcher": {"id": "byName", "options": "Waiting"}, "properties": [{"id": "unit", "value": "furlong"}]}


@pytest.mark.parametrize(
    ("rule", "breakage"),
    [
        ("template-datasource-rule", _set("templating", "list", 0, "label", to="Source")),
        ("template-datasource-rule", _set("templating", "list", 0, "query", to="loki")),
        ("template-label-promql-rule", _set("templating", "list", 2, "query", "query", to="queues()")),
        ("template-label-promql-rule", _set("templating", "list", 2, "query", "query", to="label_values({, queue)")),
        ("template-on-time-change-reload-rule", _set("templating", "list", 2, "refresh", to=1)),
        ("panel-datasource-rule", _set("panels", 0, "datasource", to={"type": "prometheus", "uid": "prom"})),
        ("panel-datasource-rule", _set("panels", 0, "targets", 0, "datasource", to={"uid": "prom"})),
        ("panel-title-description-rule", _set("panels", 0, "title", to="")),
        ("panel-title-description-rule", _set("panels", 0, "description", to="")),
        ("panel-units-rule", _set("panels", 0, "fieldConfig", "defaults", "unit", to="furlong")),
        ("panel-units-rule", _set("panels", 0, "fieldConfig", "overrides", to=[UNIT])),
        ("panel-no-targets-rule", _set("panels", 0, "targets", to=[])),
        ("target-promql-rule", _set(*EXPR, to="sum(")),
        ("target-logql-rule", _set("panels", 0, "targets", 0, "datasource", to=LOKI)),
        ("target-rate-interval-rule", _set(*EXPR, to="rate(x_total[5m])")),
        ("target-rate-interval-rule", _set(*EXPR, to='max(rate(x_total{queue="$queue"}[$__range]))')),
        ("target-counter-agg-rule", _set(*EXPR, to="max(ferryman_enqueued_total)")),
        ("target-counter-agg-rule", _set(*EXPR, to="delta(ferryman_enqueued_total[$__rate_interval])")),
        ("uneditable-dashboard-rule", _set("editable", to=True)),
    ],
)
def test_a_broken_rule_is_found(rule: str, breakage: Callable[[Board], None]) -> None:
    board = copy.deepcopy(BOARDS["ferryman-queue.json"])
    breakage(board)
    assert len(list(RULES[rule](board))) == 1


@pytest.mark.parametrize("label", ["job", "instance"])
def test_the_rules_that_are_excluded_find_what_they_look_for(label: str) -> None:
    board: Board = {
        "templating": {"list": [{"name": label}]},
        "panels": [{"type": "stat", "title": "Up", "targets": [{"expr": f'up{{{label}=~"${label}"}}'}]}],
    }
    assert list(RULES[f"template-{label}-rule"](board)) == []
    assert list(RULES[f"target-{label}-rule"](board)) == []
    _set(*EXPR, to="up")(board)
    _set("templating", "list", to=[])(board)
    assert len(list(RULES[f"template-{label}-rule"](board))) == 1
    assert len(list(RULES[f"target-{label}-rule"](board))) == 1
