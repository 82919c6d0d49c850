"""Board: what is known of all queues, which of them are listed, and what to read next. No terminal, no Redis."""

from __future__ import annotations

from collections.abc import Sequence

from ferryman.dev.top.columns import by_width
from ferryman.dev.top.head import Head
from ferryman.dev.top.readings import OTHERS_PER_READING, Reading
from ferryman.dev.top.rows import Table
from ferryman.dev.top.samples import Samples
from ferryman.dev.top.selection import Order, containing, ordered, selected, turn_of
from ferryman.dev.top.tables import QueueRow, needs_a_look, queue_columns
from ferryman.inspector import QueueStats


class Board:
    """`patterns` limit it to some queues for good; `filter` to some of those for now."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = patterns
        self.known = 0
        self.order = Order.NAME
        self.filter = ""
        self._names: list[str] = []
        self._listed: list[str] = []
        self._figures: dict[str, QueueStats] = {}
        self._samples: dict[str, Samples] = {}
        self._refused: dict[str, str] = {}
        self._troubled: set[str] = set()
        self._turn = 0
        self._read_once = False

    def take(self, reading: Reading) -> None:
        """Keeps what was read. What this costs depends on that alone, not on how many queues there are."""
        self._read_once = True
        self._refused |= reading.refused
        for name, stats in reading.figures.items():
            self._figures[name] = stats
            self._samples.setdefault(name, Samples()).add(stats)
            self._refused.pop(name, None)
        for name in (*reading.figures, *reading.refused):
            (self._troubled.add if needs_a_look(self.row(name)) else self._troubled.discard)(name)
        if reading.view.queues:
            self._turn += 1
        if reading.names is not None:
            self.known = reading.known
            self._names = selected(reading.names, self._patterns)
        if reading.names is not None or self.order is not Order.NAME:
            self._list()

    def narrow(self, text: str) -> None:
        """Lists only the queues with `text` in their name."""
        self.filter = text
        self._list()

    def sort_next(self) -> None:
        """Sorts the list by the next figure."""
        self.order = self.order.next()
        self._list()

    @property
    def head(self) -> Head:
        """For the head line."""
        return Head(len(self._names), len(self._listed), len(self._troubled), self.order)

    def row(self, name: str) -> QueueRow:
        """What is known of a queue."""
        refused = self._refused.get(name, "")
        return QueueRow(name, self._figures.get(name), self._samples.get(name) or Samples(), refused)

    def to_read(self, first: int, rows: int, chosen: str | None) -> tuple[str, ...]:
        """The `rows` queues on the screen from `first` on, the chosen one, and in turn some of the others."""
        shown = self._listed[first : first + rows]
        others = turn_of(self._names, self._turn, OTHERS_PER_READING)
        return tuple(dict.fromkeys([*shown, *([chosen] if chosen else []), *others]))

    def table(self) -> Table:
        """The list."""
        layout = by_width(queue_columns(max(map(len, self._listed), default=0)))
        return Table(
            self._listed,
            lambda width: layout(width).heading(),
            lambda name, width: layout(width).line(self.row(name)),
            self._nothing(),
            lambda name: needs_a_look(self.row(name)),
        )

    def _list(self) -> None:
        self._listed = ordered(containing(self._names, self.filter), self._figures, self.order)

    def _nothing(self) -> str:
        if not self._read_once:
            return "asking Redis…"
        if self._names:
            return f"no queue has {self.filter!r} in its name; Esc shows all"
        if self._patterns:
            return f"no queue is called {' or '.join(self._patterns)}"
        return "no queue yet; `ferryman enqueue` makes one"
