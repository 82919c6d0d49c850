"""Panels as Ferryman draws them: every one has a title, a description, a unit and the templated data source.

The functions take the few things that differ and return the SDK's builders, so a dashboard reads as a list of
questions.
"""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    text,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

DATASOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")

#: From which value on a figure has which colour; the first step has no lower end.
Steps = Sequence[tuple[float | None, str]]

#: A section of a dashboard, from left to right.
Panels = Sequence[stat.Panel | timeseries.Panel | table.Panel | heatmap.Panel | bargauge.Panel | text.Panel]

PLAIN: Steps = [(None, "text")]
ZERO_IS_GOOD: Steps = [(None, "green"), (1, "red")]
#: Of runs that raise an error.
FAILURE_STEPS: Steps = [(None, "green"), (0.05, "orange"), (0.25, "red")]
#: The age of the oldest waiting task, as a share of the queue's targetLatency.
LATE_STEPS: Steps = [(None, "green"), (1, "orange"), (2, "red")]

REACHABLE: list[ValueMapping] = [
    ValueMap(
        options={
            "0": ValueMappingResult(text="unreachable", color="red", index=0),
            "1": ValueMappingResult(text="reachable", color="green", index=1),
        }
    )
]


KEEPS: list[ValueMapping] = [
    ValueMap(
        options={
            "0": ValueMappingResult(text="may lose tasks", color="red", index=0),
            "1": ValueMappingResult(text="keeps tasks", color="green", index=1),
        }
    )
]


def figure(
    title: str,
    description: str,
    expr: str,
    *,
    width: int,
    height: int = 4,
    unit: str = "short",
    decimals: int | None = None,
    steps: Steps = PLAIN,
    mappings: list[ValueMapping] | None = None,
) -> stat.Panel:
    """One number as of now, coloured by `steps`, over a line of how it came to be. `width` is in 24ths of the page."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .unit(unit)
        .thresholds(thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .graph_mode(common_model.BigValueGraphMode.AREA)
        .color_mode(common_model.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .with_target(_target("A", expr, title))
    )
    if decimals is not None:
        panel.decimals(decimals)
    if mappings is not None:
        panel.mappings(mappings).graph_mode(common_model.BigValueGraphMode.NONE)
    return panel


def graph(
    title: str,
    description: str,
    queries: Sequence[tuple[str, str]],
    *,
    width: int,
    unit: str = "short",
    stacked: bool = False,
    steps: Steps | None = None,
    colors: Mapping[str, str] | None = None,
    empty: str = "",
) -> timeseries.Panel:
    """Lines over time, one or more for each (expression, legend).

    `steps` draws a dashed line at every threshold; `stacked` adds the lines up; `colors` are those of lines by their
    legend, where a colour means something; `empty` is said where there is no line. `width` is in 24ths of the page.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(8)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(25 if stacked else 8)
        .show_points(common_model.VisibilityMode.NEVER)
        .thresholds(thresholds(steps or PLAIN))
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
    )
    if empty:
        panel.no_value(empty)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if steps:
        panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED))
    for name, shade in (colors or {}).items():
        fixed = {"mode": "fixed", "fixedColor": shade}
        panel.override_by_name(name, [DynamicConfigValue(id_val="color", value=fixed)])
    for ref, (expr, legend) in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(ref, expr, legend))
    return panel


def bars(
    title: str, description: str, expr: str, legend: str, *, width: int, unit: str = "short", steps: Steps = PLAIN
) -> bargauge.Panel:
    """One bar for each series as of now, the longest on top. `width` is in 24ths of the page."""
    query = prometheus.Dataquery().ref_id("A").expr(f"sort_desc({expr})").legend_format(legend).instant()
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(8)
        .unit(unit)
        .min(0)
        .no_value("Nothing runs now")
        .thresholds(thresholds(steps))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .with_target(query.datasource(DATASOURCE))
    )


def _target(ref: str, expr: str, legend: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().ref_id(ref).expr(expr).legend_format(legend).range().datasource(DATASOURCE)


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Absolute steps, as the SDK wants them."""
    levels = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)
