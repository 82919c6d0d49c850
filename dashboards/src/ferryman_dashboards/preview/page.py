"""One dashboard as one picture: its heading, its variables, and its panels where the grid puts them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ferryman_dashboards.preview.bars import draw_bars
from ferryman_dashboards.preview.canvas import Box, Canvas, shortened
from ferryman_dashboards.preview.colors import BORDER, FAINT, PANEL, STRONG, TEXT
from ferryman_dashboards.preview.frames import Ask
from ferryman_dashboards.preview.graph import Marks, draw_graph
from ferryman_dashboards.preview.grid import draw_grid
from ferryman_dashboards.preview.heatmap import draw_heatmap
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.stat import draw_stat
from ferryman_dashboards.preview.words import draw_words

WIDTH_PX, _COLUMNS, _CELL_PX, _GAP_PX, _HEAD_PX, _TITLE_PX = 1600, 24, 38, 8, 96, 30

_DRAW = {
    "stat": draw_stat,
    "table": draw_grid,
    "heatmap": draw_heatmap,
    "bargauge": draw_bars,
}


def draw_page(board: Mapping[str, Any], ask: Ask, window: Window, variables: Mapping[str, str]) -> Canvas:
    """Draws every panel. Raises what `ask` raises, and ValueError for a type of panel that nobody can draw here."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    canvas = Canvas(WIDTH_PX, _HEAD_PX + rows * _CELL_PX + _GAP_PX)
    _draw_head(canvas, board, window, variables)
    marks = _marks(board, ask)
    for panel in board["panels"]:
        at = panel["gridPos"]
        column = (WIDTH_PX - _GAP_PX) / _COLUMNS
        box = Box(
            _GAP_PX + at["x"] * column,
            _HEAD_PX + at["y"] * _CELL_PX,
            at["w"] * column - _GAP_PX,
            at["h"] * _CELL_PX - _GAP_PX,
        )
        if panel["type"] == "row":
            canvas.text(box.x + 4, box.y + box.height / 2, f"⌄  {panel['title']}", 15, STRONG, weight="bold")
            continue
        canvas.box(box, PANEL, BORDER, radius=2)
        canvas.text(box.x + 10, box.y + 16, shortened(panel["title"], box.width - 16, 12.5), 12.5, TEXT, weight="bold")
        _draw_panel(canvas, box.inner(top=_TITLE_PX), panel, ask, window, variables, marks)
    return canvas


def _draw_panel(
    canvas: Canvas,
    box: Box,
    panel: Mapping[str, Any],
    ask: Ask,
    window: Window,
    variables: Mapping[str, str],
    marks: Marks,
) -> None:
    if panel["type"] == "timeseries":
        draw_graph(canvas, box, panel, ask, window, marks)
    elif panel["type"] == "text":
        draw_words(canvas, box, panel, variables)
    elif panel["type"] in _DRAW:
        _DRAW[panel["type"]](canvas, box, panel, ask, window)
    else:
        raise ValueError(f"{panel['title']}: no drawing for panels of the type {panel['type']}")


def _draw_head(canvas: Canvas, board: Mapping[str, Any], window: Window, variables: Mapping[str, str]) -> None:
    canvas.text(16, 26, board["title"], 20, STRONG, weight="bold")
    canvas.text(16, 50, board["description"], 12, FAINT)
    first, last = (datetime.fromtimestamp(at, UTC) for at in (window.start_s, window.end_s))
    canvas.text(WIDTH_PX - 16, 26, f"{first:%Y-%m-%d %H:%M} to {last:%H:%M} UTC", 13, TEXT, ha="right")
    x = 16.0
    for variable in board["templating"]["list"]:
        if variable.get("hide") == 2 or variable["type"] == "constant":
            continue
        label, value = variable.get("label") or variable["name"], variables.get(variable["name"], "")
        value = "All" if variable.get("includeAll") and value == variable.get("allValue") else value
        for words, fill, color in ((label, PANEL, FAINT), (value or " ", "none", TEXT)):
            box = Box(x, 64, 7.0 * len(words) + 16, 24)
            canvas.box(box, fill, BORDER)
            canvas.text(x + 8, 76, words, 12, color)
            x += box.width
        x += 8


def _marks(board: Mapping[str, Any], ask: Ask) -> Marks:
    return [
        ([at for series in ask(mark["expr"], False) for at in series.times], mark["iconColor"])
        for mark in board.get("annotations", {}).get("list") or ()
    ]
