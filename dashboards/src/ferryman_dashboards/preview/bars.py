"""Bar gauges: a name, a bar and a number for each series, the longest on top."""

from collections.abc import Mapping
from typing import Any

from ferryman_dashboards.preview.canvas import Box, Canvas, shortened
from ferryman_dashboards.preview.colors import BORDER, PALETTE, TEXT, by_thresholds
from ferryman_dashboards.preview.frames import Ask, lines_of
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.units import written


def draw_bars(canvas: Canvas, box: Box, panel: Mapping[str, Any], ask: Ask, window: Window) -> None:
    """A panel of the type bargauge, horizontal."""
    lines = lines_of(panel, ask)
    if not lines:
        canvas.no_data(box, panel)
        return
    look = panel["fieldConfig"]["defaults"]
    most = max(line.series.values[-1] for line in lines) or 1.0
    row_px = min(34.0, (box.height - 8) / len(lines))
    names_px, numbers_px = box.width * 0.3, 80.0
    for place, line in enumerate(lines):
        value, y = line.series.values[-1], box.y + 8 + place * row_px
        bar = Box(box.x + names_px, y, box.width - names_px - numbers_px, row_px - 6)
        shade = by_thresholds(look.get("thresholds"), value)
        fill = PALETTE[2] if shade == TEXT else shade
        canvas.text(bar.x - 8, y + bar.height / 2, shortened(line.name, names_px - 16, 12), 12, TEXT, ha="right")
        canvas.box(bar, BORDER)
        canvas.box(Box(bar.x, bar.y, max(1.0, bar.width * max(0.0, value / most)), bar.height), fill)
        words = written(value, look.get("unit", "short"), look.get("decimals"))
        canvas.text(box.x + box.width - 10, y + bar.height / 2, words, 12, shade, ha="right", weight="bold")
