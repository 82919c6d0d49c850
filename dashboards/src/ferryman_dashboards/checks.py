"""The table that answers "is it well, and if not, what do I do": one row a check, those that want somebody on top.

Each check is a question with the answer 0 or 1, and a page about what to do when it is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMapping, ValueMappingResult

from ferryman_dashboards.columns import cells, named
from ferryman_dashboards.panels import DATASOURCE, ZERO_IS_GOOD, thresholds

#: Where the pages are, as a hidden variable of the dashboard; the chart puts `alerts.runbookBase` there.
RUNBOOKS = "docs/runbooks"

_STATES: list[ValueMapping] = [
    ValueMap(
        options={
            "0": ValueMappingResult(text="well", color="green", index=0),
            "1": ValueMappingResult(text="look here", color="red", index=1),
        }
    )
]


@dataclass(frozen=True, slots=True)
class Check:
    """`fails` is 1 when the sentence `wish` does not hold, else 0; `runbook` is a page of docs/runbooks."""

    wish: str
    fails: str
    runbook: str


def check_table(title: str, description: str, checks: Sequence[Check], *, width: int) -> table.Panel:
    """All checks by one query; Prometheus leaves out those whose figures it does not know."""
    expr = " or ".join(_row(check) for check in checks)
    runbook = {"title": "Open the runbook", "url": "${runbooks}/${__value.raw}.md", "targetBlank": True}
    state = [
        DynamicConfigValue(id_val="mappings", value=_STATES),
        DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-background", "mode": "basic"}),
        DynamicConfigValue(id_val="custom.width", value=110),
    ]
    return (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(13)
        .unit("none")
        .thresholds(thresholds(ZERO_IS_GOOD))
        .no_value("No figures: is the queue's name right, and does Prometheus scrape the operator?")
        .sort_by([common.TableSortByFieldState().display_name("State").desc(True)])
        .with_target(cells("A", expr))
        .with_transformation(named({"Value": "State", "check": "Check", "runbook": "What to do"}))
        .override_by_name("State", state)
        .override_by_name("What to do", [DynamicConfigValue(id_val="links", value=[runbook])])
    )


def _row(check: Check) -> str:
    asked = f'label_replace({check.fails}, "check", "{check.wish}", "", "")'
    return f'label_replace({asked}, "runbook", "{check.runbook}", "", "")'
