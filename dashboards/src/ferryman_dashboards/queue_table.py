"""The table of all queues: one row each, one query a column, and the queue's name leads to its own dashboard."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from ferryman_dashboards.columns import MERGED, cells, named
from ferryman_dashboards.panels import DATASOURCE, PLAIN, Steps, thresholds

_TO_QUEUE = (
    "/d/ferryman-queue?${__url_time_range}&var-datasource=${datasource}"
    "&var-namespace=${__data.fields.Namespace}&var-queue=${__data.fields.Queue}"
)


@dataclass(frozen=True, slots=True)
class Column:
    """`expr` gives one value for each (queue_namespace, queue); with `steps` the cell is coloured."""

    title: str
    expr: str
    unit: str = "short"
    decimals: int = 0
    steps: Steps = ()


def queue_table(title: str, description: str, columns: Sequence[Column], *, sorted_by: str, height: int) -> table.Panel:
    """One row for each queue that Prometheus knows now, the highest of the column `sorted_by` on top."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(24)
        .height(height)
        .unit("short")
        .thresholds(thresholds(PLAIN))
        .filterable(True)
        .sort_by([common.TableSortByFieldState().display_name(sorted_by).desc(True)])
    )
    names = {"queue_namespace": "Namespace", "queue": "Queue"}
    for ref, column in zip("ABCDEFGHIJKL", columns, strict=False):
        panel.with_target(cells(ref, column.expr))
        panel.override_by_name(column.title, _look(column))
        names[f"Value #{ref}"] = column.title
    panel.with_transformation(MERGED).with_transformation(named(names))
    link = {"title": "Open ${__data.fields.Queue}", "url": _TO_QUEUE}
    return panel.override_by_name("Queue", [DynamicConfigValue(id_val="links", value=[link])])


def _look(column: Column) -> list[DynamicConfigValue]:
    look = [
        DynamicConfigValue(id_val="unit", value=column.unit),
        DynamicConfigValue(id_val="decimals", value=column.decimals),
    ]
    if column.steps:
        look += [
            DynamicConfigValue(id_val="thresholds", value=thresholds(column.steps).build()),
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
            DynamicConfigValue(id_val="color", value={"mode": "thresholds"}),
        ]
    return look
