"""Lines over time with a legend below; stacked ones as areas, thresholds and marked events as dashed lines."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from ferryman_dashboards.preview.canvas import Box, Canvas, shortened
from ferryman_dashboards.preview.colors import PALETTE, TEXT, color
from ferryman_dashboards.preview.frames import Ask, Line, lines_of
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.units import written

#: Moments at which something happened, and the colour of their mark.
Marks = Sequence[tuple[Sequence[float], str]]

_LEGEND_PX = 20

#: How far the times under a plot may lie apart.
_TICKS_S = (10, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200)


def draw_graph(canvas: Canvas, box: Box, panel: Mapping[str, Any], ask: Ask, window: Window, marks: Marks = ()) -> None:
    """A panel of the type timeseries."""
    lines = lines_of(panel, ask)
    if not lines:
        canvas.no_data(box, panel)
        return
    look = panel["fieldConfig"]["defaults"]
    unit, custom = look.get("unit", "short"), look.get("custom", {})
    legend = _legend_rows(lines, box)
    axes = canvas.axes(box.inner(left=64, top=6, right=12, bottom=20 + len(legend) * _LEGEND_PX))
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    times = times_of(window)
    floor, shades = np.zeros(len(times)), _shades(panel, lines)
    for number, line in enumerate(lines):
        values, shade = values_at(times, line, window.step_s), shades[number]
        if stacked:
            top = floor + np.nan_to_num(values)
            axes.fill_between(times, floor, top, color=shade, alpha=0.35, linewidth=0)
            axes.plot(times, np.where(np.isnan(values), np.nan, top), color=shade, linewidth=1.0)
            floor = top
        else:
            axes.plot(times, values, color=shade, linewidth=1.1, marker="." if _lonely(values) else "")
            axes.fill_between(times, values, 0, color=shade, alpha=0.06, linewidth=0)
    axes.set_xlim(window.start_s, window.end_s)
    axes.set_ylim(bottom=0)
    if not any(value > 0 for line in lines for value in line.series.values):
        axes.set_ylim(0, 1)
    if custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        _thresholds(axes, look["thresholds"]["steps"])
    for moments, shade in marks:
        _mark(axes, moments, color(shade), window.step_s)
    whole = all(value.is_integer() for line in lines for value in line.series.values)
    axes.yaxis.set_major_locator(_binary(axes) if unit == "bytes" else MaxNLocator(5, integer=whole))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, unit)))
    clock(axes, window)
    _draw_legend(canvas, box, legend, shades)


def clock(axes: Axes, window: Window) -> None:
    """Hours and minutes under the plot, with seconds when it shows little time."""
    length_s = window.end_s - window.start_s
    every_s = next((step for step in _TICKS_S if length_s / step <= 7), 86_400)
    shape = "%H:%M:%S" if every_s < 60 else "%H:%M" if every_s < 86_400 else "%d %b"
    axes.xaxis.set_major_locator(MultipleLocator(every_s))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime(shape)))


def times_of(window: Window) -> Any:
    """The moments at which lines have values, in seconds since 1970."""
    return np.arange(window.first_s, window.end_s + 0.5, window.step_s)


def values_at(times: Any, line: Line, step_s: float) -> Any:
    """The line's values at `times`; NaN where it has none, so that a gap stays a gap."""
    values = np.full(len(times), np.nan)
    places = np.rint((np.asarray(line.series.times) - times[0]) / step_s).astype(int)
    inside = (places >= 0) & (places < len(times))
    values[places[inside]] = np.asarray(line.series.values)[inside]
    return values


def _binary(axes: Axes) -> MultipleLocator:
    """Ticks at whole parts of MiB or GiB."""
    return MultipleLocator(2 ** max(0, math.ceil(math.log2(axes.get_ylim()[1] / 5))))


def _shades(panel: Mapping[str, Any], lines: Sequence[Line]) -> list[str]:
    """Each line's colour: the one that the panel sets for its name, or the next of the palette."""
    fixed = {
        override["matcher"]["options"]: part["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for part in override["properties"]
        if part["id"] == "color"
    }
    return [color(fixed.get(line.name, PALETTE[number % len(PALETTE)])) for number, line in enumerate(lines)]


def _mark(axes: Axes, moments: Sequence[float], shade: str, step_s: float) -> None:
    """A dashed line where an event begins, and a faint band as long as it lasts: moments in a row are one event."""
    starts = [at for at in moments if at - step_s not in moments]
    for start in starts:
        last = start
        while last + step_s in moments:
            last += step_s
        axes.axvline(start, color=shade, linewidth=0.9, linestyle=(0, (3, 2)), alpha=0.8)
        axes.axvspan(start, last, color=shade, alpha=0.08, linewidth=0)


def _lonely(values: Any) -> bool:
    return bool(np.count_nonzero(~np.isnan(values)) < 3)


def _thresholds(axes: Axes, steps: Sequence[Mapping[str, Any]]) -> None:
    highest = axes.get_ylim()[1]
    for step in steps:
        if step["value"] is not None:
            axes.axhline(step["value"], color=color(step["color"]), linewidth=1, linestyle="--", alpha=0.8)
    axes.set_ylim(0, highest)


def _legend_rows(lines: Sequence[Line], box: Box) -> list[list[tuple[int, str]]]:
    """The lines' numbers and names, as many to a row as fit; what does not fit into four rows is left out."""
    rows: list[list[tuple[int, str]]] = [[]]
    used = 0.0
    for number, line in enumerate(lines):
        name = shortened(line.name, box.width - 60, 11)
        width = 34 + 6.4 * len(name)
        if used + width > box.width - 20 and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append((number, name))
        used += width
    return rows[:4]


def _draw_legend(canvas: Canvas, box: Box, rows: Sequence[Sequence[tuple[int, str]]], shades: Sequence[str]) -> None:
    for place, row in enumerate(rows):
        x, y = box.x + 12, box.y + box.height - (len(rows) - place) * _LEGEND_PX + 10
        for number, name in row:
            canvas.box(Box(x, y - 1.5, 14, 3), shades[number], radius=1)
            canvas.text(x + 19, y, name, 11, TEXT)
            x += 34 + 6.4 * len(name)
