"""The table of all queues: one row each, one query a column, and the queue's name leads to its own dashboard."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import common, prometheus, table
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ferryman_dashboards.panels import DATASOURCE, PLAIN, Steps, thresholds

_KEYS = ("queue_namespace", "queue")
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
        query = prometheus.Dataquery().ref_id(ref).expr(column.expr).instant().format(PromQueryFormat.TABLE)
        panel.with_target(query.legend_format("").datasource(DATASOURCE))
        panel.override_by_name(column.title, _look(column))
        names[f"Value #{ref}"] = column.title
    # Without a last column of queries a queue that misses one of them would lose its row: merge keeps it.
    panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: place for place, name in enumerate((*_KEYS, *list(names)[2:]))},
                "renameByName": names,
            },
        )
    )
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
