"""Heatmaps of Prometheus' histograms: a column for each moment, a row for each bucket."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter

from ferryman_dashboards.preview.canvas import Box, Canvas
from ferryman_dashboards.preview.frames import Ask, lines_of
from ferryman_dashboards.preview.graph import clock, times_of, values_at
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.units import written


def draw_heatmap(canvas: Canvas, box: Box, panel: Mapping[str, Any], ask: Ask, window: Window) -> None:
    """A panel of the type heatmap whose query gives cumulative buckets."""
    lines = sorted(lines_of(panel, ask), key=lambda line: float(line.series.labels["le"]))
    if not lines:
        canvas.no_data(box, panel)
        return
    times = times_of(window)
    below = np.zeros((len(lines) + 1, len(times)))
    for row, line in enumerate(lines, start=1):
        below[row] = np.nan_to_num(values_at(times, line, window.step_s))
    counts = np.clip(np.diff(below, axis=0), 0, None)
    unit = panel["options"].get("yAxis", {}).get("unit", "short")
    axes = canvas.axes(box.inner(left=64, top=6, right=12, bottom=24))
    edges = np.append(times, times[-1] + window.step_s)
    shown = np.ma.masked_less_equal(counts**0.5, 1e-4)
    axes.pcolormesh(edges, np.arange(len(lines) + 1), shown, cmap="Oranges", vmin=0, rasterized=True)
    axes.set_xlim(window.start_s, window.end_s)
    bounds = [written(float(line.series.labels["le"]), unit) for line in lines]
    axes.set_yticks(np.arange(1, len(lines) + 1, 2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda place, _: bounds[int(place) - 1] if place >= 1 else ""))
    clock(axes, window)
