"""Heatmaps: how many of what is measured fell into each bucket of a histogram, over time."""

from grafana_foundation_sdk.builders import heatmap, prometheus
from grafana_foundation_sdk.models.common import HeatmapCellLayout
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ferryman_dashboards.panels import DATASOURCE, PLAIN, thresholds


def heat(title: str, description: str, metric: str, matchers: str, *, width: int) -> heatmap.Panel:
    """The stronger the colour, the more; `metric` is a histogram of seconds."""
    expr = f"sum by (le) (increase({metric}_bucket{{{matchers}}}[$__rate_interval]))"
    query = prometheus.Dataquery().ref_id("A").expr(expr).legend_format("{{le}}").range()
    return (
        heatmap.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(8)
        .unit("short")
        .thresholds(thresholds(PLAIN))
        .calculate(False)
        .rows_frame(heatmap.RowsHeatmapOptions().layout(HeatmapCellLayout.AUTO))
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").exponent(0.5).steps(64))
        .cell_values(heatmap.CellValues().unit("short"))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .with_target(query.format(PromQueryFormat.HEATMAP).datasource(DATASOURCE))
    )
