"""What surrounds the panels: the page's settings, variables and rows, and the links to the other dashboards."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from ferryman_dashboards.checks import RUNBOOKS
from ferryman_dashboards.panels import DATASOURCE, Panels

TAG = "ferryman"


def page(uid: str, title: str, description: str) -> dashboard.Dashboard:
    """An empty page with the variables `datasource` and `runbooks` and the links that all pages have.

    It shows the last hour, is refreshed every 10 s, and is not editable by hand.
    """
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("10s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Ferryman")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
            .icon("external link")
            .tooltip("The other Ferryman dashboards")
        )
        .link(
            dashboard.DashboardLink("Runbooks")
            .type(DashboardLinkType.LINK)
            .url("${runbooks}")
            .target_blank(True)
            .icon("doc")
            .tooltip("How to look and what to do, a page for each alert")
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(dashboard.ConstantVariable("runbooks").value(RUNBOOKS))
    )


def label_variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values are those of a metric's label; `query` is a `label_values(…)`."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def event(name: str, expr: str, color: str) -> dashboard.AnnotationQuery:
    """A mark in every graph for each moment at which `expr` has a value; people can switch it off by its name."""
    return dashboard.AnnotationQuery().name(name).datasource(DATASOURCE).enable(True).icon_color(color).expr(expr)


def section(board: dashboard.Dashboard, title: str | None, panels: Panels) -> None:
    """Adds `panels` to the page under a row of that title; None: without a row, for the top of the page."""
    if title is not None:
        board.with_row(dashboard.Row(title))
    for panel in panels:
        board.with_panel(panel)
