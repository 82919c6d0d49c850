"""Rows: a list with a cursor that draws only the lines on the screen, and of those only what has changed.

Textual's DataTable draws all of its visible cells again when one changes, keeps a cell per figure of 500 queues, and
scrolls sideways where 40 columns are too few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ferryman.dev.top.cells import fit

_HEADING = Style(bold=True, underline=True)
_CURSOR = Style(reverse=True)
_PLACE = Style(bold=True)
_EMPTY = Style(italic=True)
_URGENT = Style(color="yellow")


@dataclass(frozen=True, slots=True)
class Table:
    """What a Rows shows: a line per key, drawn on demand for so many cells."""

    keys: Sequence[str]
    heading: Callable[[int], str]
    line: Callable[[str, int], str]
    empty: str  # said when there are no keys
    urgent: Callable[[str], bool] = lambda key: False  # shown in yellow too; the line itself must say it


def nothing(why: str) -> Table:
    """A table without lines that says why."""
    return Table((), lambda _: "", lambda key, _: key, why)


class Rows(ScrollView, can_focus=True):
    """The chosen line is marked with `>` and, where the keys go, shown in reverse: neither needs a colour."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up"),
        Binding("down,j", "move(1)", "Down"),
        Binding("pageup", "page(-1)", "Page up"),
        Binding("pagedown", "page(1)", "Page down"),
        Binding("home", "move(-1000000)", "First"),
        Binding("end", "move(1000000)", "Last"),
        Binding("enter", "open", "Open"),
    ]

    class Moved(Message):
        """The cursor stands on another line, or other lines are on the screen."""

    class Opened(Message):
        """Enter was pressed on a line."""

        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._table = nothing("")
        self._places: dict[str, int] = {}
        self._cursor = 0
        self._drawn: dict[int, str] = {}

    @property
    def chosen(self) -> str | None:
        """The key under the cursor."""
        return self._table.keys[self._cursor] if self._table.keys else None

    @property
    def first(self) -> int:
        """The first line on the screen."""
        return round(self.scroll_y)

    @property
    def page(self) -> int:
        """Lines on the screen."""
        return max(1, self.size.height - 1)

    def show(self, table: Table) -> None:
        """Shows this from now on. The cursor stays with its key, wherever that stands now."""
        chosen, keys_before = self.chosen, self._table.keys
        self._table = table
        if table.keys is not keys_before and table.keys != keys_before:
            self._places = {key: place for place, key in enumerate(table.keys)}
            self.virtual_size = Size(self.size.width, len(table.keys) + 1)
            self._go(self._places.get(chosen or "", self._cursor))
        for y in range(self.size.height):
            if self._text(y) != self._drawn.get(y):
                self.refresh_line(self.first + y)

    def render_line(self, y: int) -> Strip:
        """A line of the screen: the heading, then the rows from where one has scrolled to."""
        text = self._text(y)
        self._drawn[y] = text
        if y == 0:
            style = _HEADING
        elif not self._table.keys:
            style = _EMPTY
        elif self.first + y - 1 == self._cursor:
            style = _CURSOR if self.has_focus else _PLACE
        elif self.first + y <= len(self._table.keys) and self._table.urgent(self._table.keys[self.first + y - 1]):
            style = _URGENT
        else:
            style = Style.null()
        return Strip([Segment(text, style)], self.size.width)

    def _text(self, y: int) -> str:
        width, place = self.size.width, self.first + y - 1
        if width < 3:
            return " " * width
        if y == 0:
            return fit(" " + self._table.heading(width - 2), width)
        if not self._table.keys:
            return fit(f"  {self._table.empty}" if y == 1 else "", width)
        if place >= len(self._table.keys):
            return " " * width
        mark = ">" if place == self._cursor else " "
        return fit(mark + self._table.line(self._table.keys[place], width - 2), width)

    def _go(self, place: int) -> None:
        """Puts the cursor there, and scrolls as little as it takes."""
        before = self._cursor, self.first
        self._cursor = max(0, min(place, len(self._table.keys) - 1))
        if self._cursor < self.first:
            self.scroll_to(y=self._cursor, animate=False, force=True, immediate=True)
        elif self._cursor >= self.first + self.page:
            self.scroll_to(y=self._cursor - self.page + 1, animate=False, force=True, immediate=True)
        if before != (self._cursor, self.first):
            self.refresh()
            self.post_message(self.Moved())

    def action_move(self, by: int) -> None:
        """The cursor up or down."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """A screenful up or down."""
        self._go(self._cursor + by * self.page)

    def action_open(self) -> None:
        """Says that the chosen line is to be opened."""
        if self.chosen is not None:
            self.post_message(self.Opened(self, self.chosen))

    def on_click(self, event: Click) -> None:
        """The cursor to where one clicked."""
        if 0 < event.y <= len(self._table.keys) - self.first:
            self._go(self.first + event.y - 1)

    def on_resize(self, _: Resize) -> None:
        """Keeps the cursor on the screen."""
        self._drawn.clear()
        self.virtual_size = Size(self.size.width, len(self._table.keys) + 1)
        self._go(self._cursor)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other lines are on the screen, so other queues are to be read."""
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        """The cursor looks different."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks different."""
        self.refresh()
