"""The control panel: Grafana Actions that call the HTTP API from the browser of whoever presses them.

A table with cells of the type `actions` shows them as plain buttons in Grafana 11.6 and later, with a dialogue for
each. The address and the token are variables of the dashboard: neither lies in its JSON, and the token not in its URL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, VariableOption

from ferryman_dashboards.columns import MERGED, cells, named
from ferryman_dashboards.panels import DATASOURCE, PLAIN, thresholds

#: Where `kubectl port-forward service/ferryman-api 8000:80` puts the API; the chart puts `dashboards.apiUrl` there.
API_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True, slots=True)
class Button:
    """POSTs `body` to `path` of the API, after a dialogue that asks `question`. All three may hold variables."""

    title: str
    path: str
    question: str
    body: str = "{}"
    color: str = ""

    def action(self) -> dict[str, Any]:
        """As Grafana keeps it: `Action` in packages/grafana-data/src/types/action.ts."""
        request = {
            "method": "POST",
            "url": "${api_url}" + self.path,
            "body": self.body,
            "queryParams": [],
            "headers": [["Content-Type", "application/json"], ["Authorization", "Bearer ${token}"]],
        }
        style = {"style": {"backgroundColor": self.color}} if self.color else {}
        return {"type": "fetch", "title": self.title, "fetch": request, "confirmation": self.question, **style}


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the one row: a figure, or buttons. `expr` gives one value."""

    title: str
    expr: str
    buttons: Sequence[Button] = ()
    look: Sequence[DynamicConfigValue] = ()
    width: int = 0


def button_table(title: str, description: str, columns: Sequence[Cell]) -> table.Panel:
    """One row over the whole width of the page."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(24)
        .height(4)
        .unit("none")
        .thresholds(thresholds(PLAIN))
    )
    names: dict[str, str] = {}
    for ref, cell in zip("ABCDEFGHIJKL", columns, strict=False):
        panel.with_target(cells(ref, cell.expr))
        panel.override_by_name(cell.title, _look(cell))
        names[f"Value #{ref}"] = cell.title
    return panel.with_transformation(MERGED).with_transformation(named(names))


def _look(cell: Cell) -> list[DynamicConfigValue]:
    look = list(cell.look)
    if cell.width:
        look.append(DynamicConfigValue(id_val="custom.width", value=cell.width))
    if cell.buttons:
        look.append(DynamicConfigValue(id_val="custom.cellOptions", value={"type": "actions"}))
        look.append(DynamicConfigValue(id_val="actions", value=[button.action() for button in cell.buttons]))
    return look


def text_variable(name: str, label: str, description: str, value: str = "", *, secret: bool = False) -> Any:
    """A field at the top of the dashboard. A secret is not put into the page's address, so it ends with the page."""
    variable = dashboard.TextBoxVariable(name).label(label).description(description).default_value(value)
    variable.current(VariableOption(selected=True, text=value, value=value))
    variable.build().skip_url_sync = secret
    return variable
