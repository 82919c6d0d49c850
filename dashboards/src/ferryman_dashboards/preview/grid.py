"""Tables: a header, as many rows as fit, coloured cells, and cells full of buttons."""

from collections.abc import Mapping
from typing import Any

from ferryman_dashboards.preview.canvas import Box, Canvas, shortened
from ferryman_dashboards.preview.colors import BORDER, BUTTON, FAINT, PANEL, STRONG, TEXT, by_thresholds, mapped
from ferryman_dashboards.preview.frames import Ask, Table, table_of
from ferryman_dashboards.preview.source import Window
from ferryman_dashboards.preview.units import written

_ROW_PX = 30
_LINK = "#6e9fff"


def draw_grid(canvas: Canvas, box: Box, panel: Mapping[str, Any], ask: Ask, window: Window) -> None:
    """A panel of the type table."""
    table = table_of(panel, ask)
    if not table.rows:
        canvas.no_data(box, panel)
        return
    looks = {name: _look(panel, name) for name in table.columns}
    widths = _widths(table, looks, box.width)
    fitting = int((box.height - _ROW_PX) // _ROW_PX)
    x = box.x
    for name in table.columns:
        right = _is_number(table.rows[0].get(name), looks[name])
        at = x + widths[name] - 10 if right else x + 8
        heading = shortened(name, widths[name] - 8, 12)
        canvas.text(at, box.y + _ROW_PX / 2, heading, 12, _LINK, weight="bold", ha="right" if right else "left")
        for place, row in enumerate(table.rows[:fitting]):
            cell = Box(x, box.y + _ROW_PX * (place + 1), widths[name], _ROW_PX)
            _draw_cell(canvas, cell, row.get(name), looks[name])
        x += widths[name]
    for place in range(min(fitting, len(table.rows))):
        canvas.box(Box(box.x, box.y + _ROW_PX * (place + 1), box.width, 0.6), BORDER)
    if len(table.rows) > fitting:
        canvas.text(
            box.x + box.width - 10,
            box.y + box.height - 6,
            f"{len(table.rows) - fitting} more rows",
            10,
            FAINT,
            ha="right",
        )


def _look(panel: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The field's settings: the panel's defaults under what is set for this column."""
    defaults = panel["fieldConfig"]["defaults"]
    look: dict[str, Any] = {**defaults, **{f"custom.{key}": value for key, value in defaults.get("custom", {}).items()}}
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == name:
            look.update({part["id"]: part["value"] for part in override["properties"]})
    return look


def _widths(table: Table, looks: Mapping[str, Mapping[str, Any]], whole: float) -> dict[str, float]:
    """Set widths as they are; of the rest, as much for texts and buttons as they need, and equal parts for numbers."""
    widths = {name: float(looks[name].get("custom.width") or 0) for name in table.columns}
    free = [name for name in table.columns if not widths[name]]
    left = whole - sum(widths.values())
    wish = {name: max(70.0, *(_wish(row.get(name), looks[name]) for row in table.rows)) for name in free}
    scale = left / sum(wish.values()) if wish else 1.0
    return widths | {name: wish[name] * scale for name in free}


def _wish(cell: str | float | None, look: Mapping[str, Any]) -> float:
    if look.get("actions"):
        return sum(_button_px(action["title"]) + 6 for action in look["actions"]) + 16
    return 7.0 * len(cell) + 16 if isinstance(cell, str) else 70.0


def _button_px(title: str) -> float:
    return 6.6 * len(title) + 18


def _draw_cell(canvas: Canvas, box: Box, cell: str | float | None, look: Mapping[str, Any]) -> None:
    middle = box.y + box.height / 2
    options = look.get("custom.cellOptions") or {}
    if options.get("type") == "actions":
        x = box.x + 8
        for action in look["actions"]:
            fill = action.get("style", {}).get("backgroundColor", BUTTON)
            button = Box(x, box.y + 4, _button_px(action["title"]), box.height - 8)
            canvas.box(button, fill, radius=2)
            canvas.text(x + button.width / 2, middle, action["title"], 11.5, STRONG, ha="center")
            x += button.width + 6
        return
    words, shade = _words(cell, look)
    if options.get("type") == "color-background":
        canvas.box(box.inner(1, 1, 1, 1), shade)
        canvas.text(box.x + 8, middle, words, 12, PANEL, weight="bold")
        return
    color = shade if options.get("type") == "color-text" else TEXT
    color = _LINK if look.get("links") else color
    right = _is_number(cell, look)
    x = box.x + box.width - 10 if right else box.x + 8
    canvas.text(x, middle, shortened(words, box.width - 10, 12), 12, color, ha="right" if right else "left")


def _is_number(cell: str | float | None, look: Mapping[str, Any]) -> bool:
    """Whether it is written as a number, and so stands on the right."""
    return not isinstance(cell, str) and not look.get("mappings") and not look.get("actions")


def _words(cell: str | float | None, look: Mapping[str, Any]) -> tuple[str, str]:
    if isinstance(cell, str):
        return cell, TEXT
    found = mapped(look.get("mappings"), cell)
    shade = by_thresholds(look.get("thresholds"), cell)
    return found or (written(cell, look.get("unit", "short"), look.get("decimals")), shade)
