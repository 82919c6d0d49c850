"""A picture that is measured in pixels from its top left corner, as a web page is."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from ferryman_dashboards.preview.colors import FAINT, LINE, PAGE, TEXT

_DPI = 100
_FONTS = {"sans": ["Inter", "Roboto", "DejaVu Sans"], "mono": ["DejaVu Sans Mono"]}
mpl.rcParams["font.sans-serif"] = _FONTS["sans"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float

    def inner(self, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> "Box":
        """What is left after margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


class Canvas:
    """Draws onto one picture of `width` by `height` pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=PAGE)

    def save(self, path: Path) -> None:
        """Writes it as PNG of 256 colours, which is a third of the size: the same data give the same file."""
        drawn = BytesIO()
        self._figure.savefig(drawn, format="png", dpi=_DPI, facecolor=PAGE, metadata={"Software": None})
        with Image.open(drawn) as picture:
            few = picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(path, format="PNG", optimize=True)

    def box(self, box: Box, fill: str, edge: str = "none", radius: float = 0) -> None:
        """A rectangle, with round corners if wanted."""
        style = f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"
        patch = FancyBboxPatch(
            (box.x, self.height - box.y - box.height),
            box.width,
            box.height,
            boxstyle=style,
            facecolor=fill,
            edgecolor=edge,
            linewidth=0.7,
            transform=mpl.transforms.IdentityTransform(),
            zorder=0,
        )
        self._figure.add_artist(patch, clip=False)

    def text(self, x: float, y: float, words: str, size: float = 12, color: str = TEXT, **look: Any) -> None:
        """Words of `size` pixels at a point; `ha` and `va` say which end of them lies there."""
        look = {"ha": "left", "va": "center", **look}
        self._figure.text(
            x,
            self.height - y,
            words.replace("$", r"\$"),
            fontsize=size * 0.72,
            color=color,
            zorder=3,
            transform=mpl.transforms.IdentityTransform(),
            **look,
        )

    def no_data(self, box: Box, panel: Mapping[str, Any]) -> None:
        """What a panel says in its middle when there is nothing to draw."""
        words = panel["fieldConfig"]["defaults"].get("noValue") or "No data"
        self.text(box.x + box.width / 2, box.y + box.height / 2, words, 13, FAINT, ha="center")

    def mono(self, x: float, y: float, words: str, size: float = 12, color: str = TEXT) -> None:
        """The same in letters of one width."""
        self.text(x, y, words, size, color, family=_FONTS["mono"])

    def axes(self, box: Box) -> Axes:
        """Axes in Grafana's look; the box is that of the plot, its labels lie outside."""
        rectangle = (
            box.x / self.width,
            1 - (box.y + box.height) / self.height,
            box.width / self.width,
            box.height / self.height,
        )
        axes = self._figure.add_axes(rectangle, facecolor="none", zorder=2)
        axes.grid(True, color=LINE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=FAINT, labelsize=10 * 0.72, length=0, pad=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def bare_axes(self, box: Box) -> Axes:
        """Axes without anything around them."""
        axes = self.axes(box)
        axes.set_axis_off()
        return axes


def fitting(words: str, width: float, largest: float, smallest: float = 9) -> float:
    """The size in pixels at which the words fit into `width`."""
    return max(smallest, min(largest, width / (0.62 * max(1, len(words)))))


def shortened(words: str, width: float, size: float) -> str:
    """The words, cut off where `width` ends."""
    most = max(1, int(width / (0.56 * size)))
    return words if len(words) <= most else words[: max(1, most - 1)] + "…"
