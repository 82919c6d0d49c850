"""Grafana's dark theme: the names that dashboards use for colours, and which one a value gets."""

from collections.abc import Mapping
from typing import Any

PAGE, PANEL, BORDER, LINE = "#111217", "#181b1f", "#2c3036", "#2a2d33"
TEXT, FAINT, STRONG = "#ccccdc", "#8e8f9a", "#ffffff"
BUTTON = "#3d4149"

#: The order in which lines get their colours.
PALETTE = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a", "#96d98d", "#ffa6b0")

_NAMED = {
    "green": "#73bf69",
    "red": "#f2495c",
    "orange": "#ff9830",
    "yellow": "#fade2a",
    "blue": "#5794f2",
    "purple": "#b877d9",
    "dark-red": "#c4162a",
    "text": TEXT,
}


def color(name: str) -> str:
    """A colour by Grafana's name, or by its own hexadecimal."""
    return _NAMED.get(name, name)


def by_thresholds(thresholds: Mapping[str, Any] | None, value: float | None) -> str:
    """The colour of the highest step that `value` reaches."""
    found = TEXT
    for step in (thresholds or {}).get("steps") or ():
        if step["value"] is None or (value is not None and value >= step["value"]):
            found = color(step["color"])
    return found


def mapped(mappings: Any, value: float | None) -> tuple[str, str] | None:
    """The text and colour that a value mapping gives, or None."""
    for mapping in mappings or ():
        key = "" if value is None else f"{value:g}"
        if mapping["type"] == "value" and key in mapping["options"]:
            result = mapping["options"][key]
            return result["text"], color(result.get("color", "text"))
    return None
