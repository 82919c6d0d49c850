"""One large number over the line of how it came to be."""

import math
from collections.abc import Mapping
from typing import Any

from ferryman_dashboards.preview.canvas import Box, Canvas, fitting
from ferryman_dashboards.preview.colors import FAINT, by_thresholds, mapped
from ferryman_dashboards.preview.frames import Ask, lines_of
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.units import written


def draw_stat(canvas: Canvas, box: Box, panel: Mapping[str, Any], ask: Ask, window: Window) -> None:
    """The last value, coloured by its threshold or its mapping."""
    lines = lines_of(panel, ask)
    look = panel["fieldConfig"]["defaults"]
    known = [v for v in lines[0].series.values if not math.isnan(v)] if lines else []
    value = known[-1] if known else None
    words, color = (
        written(value, look.get("unit", "short"), look.get("decimals")),
        by_thresholds(look.get("thresholds"), value),
    )
    if value is None:
        words, color = look.get("noValue") or "No data", FAINT
    elif (found := mapped(look.get("mappings"), value)) is not None:
        words, color = found
    size = fitting(words, box.width - 16, min(38, box.height * 0.42))
    canvas.text(box.x + box.width / 2, box.y + box.height * 0.42, words, size, color, ha="center", weight="bold")
    if lines and len(lines[0].series.times) > 1 and panel["options"].get("graphMode") == "area":
        series = lines[0].series
        axes = canvas.bare_axes(box.inner(top=box.height * 0.66, left=1, right=1, bottom=1))
        axes.fill_between(series.times, series.values, min(0, *series.values), color=color, alpha=0.25, linewidth=0)
        axes.plot(series.times, series.values, color=color, linewidth=0.8)
        axes.set_xlim(window.start_s, window.end_s)
        axes.set_ylim(min(0, *series.values), max(*series.values, 0) * 1.1 or 1)
