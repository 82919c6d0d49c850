"""Text panels: paragraphs, bold lines and blocks of code; no more of Markdown is used."""

from collections.abc import Mapping
from typing import Any

from ferryman_dashboards.preview.canvas import Box, Canvas, shortened
from ferryman_dashboards.preview.colors import PAGE, STRONG, TEXT
from ferryman_dashboards.queries import substitute


def draw_words(canvas: Canvas, box: Box, panel: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """A panel of the type text."""
    y, is_code = box.y + 6, False
    for line in substitute(panel["options"]["content"], variables).splitlines():
        if line.startswith("```"):
            is_code, y = not is_code, y + 3
        elif is_code:
            canvas.box(Box(box.x + 8, y, box.width - 16, 19), PAGE)
            canvas.mono(box.x + 14, y + 9.5, shortened(line, box.width - 28, 12.2), 11.5, TEXT)
            y += 19
        elif line.strip():
            bold = line.startswith("**")
            words = line.strip("*")
            canvas.text(
                box.x + 10, y + 9, shortened(words, box.width - 20, 12), 12, STRONG, weight="bold" if bold else "normal"
            )
            y += 20
