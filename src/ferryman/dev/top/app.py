"""The screen: a table of queues, the chosen queue's workers below, and the control panel's keys.

It reads once a second and keeps the last figures when Redis is away. A key works on the queue under the cursor.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Label

from ferryman.dev.top import actions
from ferryman.dev.top.confirm import Confirm
from ferryman.dev.top.readings import Reading, queue_cells, read, worker_cells
from ferryman.errors import FerrymanError
from ferryman.inspector import QueueStats
from ferryman.link import Link

_QUEUE_COLUMNS = "QUEUE WAITING ACTIVE DELAYED DEAD DONE/S COMPLETED FAILED WORKERS OLDEST REMARKS"
_WORKER_COLUMNS = "WORKER BUSY STATE APP VERSION"


class TopApp(App[None]):
    """`connect` is called when the screen starts; `where` is the address to show."""

    TITLE = "ferryman top"
    CSS = """
    #head { height: 1; width: 100%; background: $primary; color: $text; padding: 0 1; }
    #head.away { background: $error; }
    #queues { height: 2fr; }
    #workers { height: 1fr; border-top: solid $primary; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("5", "add", "Add 5 tasks"),
        Binding("d", "add_delayed", "Add one in 10 s"),
        Binding("h", "hold", "Hold/resume"),
        Binding("v", "revive", "Revive dead"),
        Binding("r", "reset", "Reset"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, connect: Callable[[], Link], where: str, interval_s: float = 1.0) -> None:
        super().__init__()
        self._connect = connect
        self._where = where
        self._interval_s = interval_s
        self._before: Mapping[str, QueueStats] = {}

    def compose(self) -> ComposeResult:
        """Head line, two tables, the keys."""
        yield Label(self._where, id="head")
        yield DataTable[str](id="queues", cursor_type="row", zebra_stripes=True)
        yield DataTable[str](id="workers", cursor_type="none")
        yield Footer()

    async def on_mount(self) -> None:
        """Opens the link and begins to read."""
        self._link = self._connect()
        self._head = self.query_one("#head", Label)
        self._queue_table = self.query_one("#queues", DataTable)
        self._worker_table = self.query_one("#workers", DataTable)
        for column in _QUEUE_COLUMNS.split():
            self._queue_table.add_column(column, key=column)
        self._worker_table.add_columns(*_WORKER_COLUMNS.split())
        self._queue_table.focus()
        await self.refresh_figures()
        self.set_interval(self._interval_s, self.refresh_figures)

    async def on_unmount(self) -> None:
        """Closes the link."""
        await self._link.close()

    @property
    def chosen(self) -> str | None:
        """The queue under the cursor."""
        if not self._queue_table.row_count:
            return None
        return str(self._queue_table.coordinate_to_cell_key(self._queue_table.cursor_coordinate).row_key.value)

    async def refresh_figures(self) -> None:
        """Reads and shows; says so when Redis is away."""
        try:
            reading = await read(self._link, self.chosen)
        except FerrymanError as error:
            self._head.update(f"{error}. Trying again.")
            self._head.add_class("away")
            return
        self._head.remove_class("away")
        self._head.update(
            f"{self._where}   {len(reading.figures)} queues" if reading.figures else f"{self._where}   no queue yet"
        )
        self._show(reading)

    def _show(self, reading: Reading) -> None:
        for name, figures in reading.figures.items():
            cells = queue_cells(figures, self._before.get(name))
            if name not in self._queue_table.rows:
                self._queue_table.add_row(*cells, key=name)
            else:
                for column, cell in zip(_QUEUE_COLUMNS.split(), cells, strict=True):
                    self._queue_table.update_cell(name, column, cell, update_width=True)
        now_ms = max((figures.now_ms for figures in reading.figures.values()), default=0)
        self._worker_table.clear()
        self._worker_table.add_rows(worker_cells(row, now_ms) for row in reading.workers)
        self._before = reading.figures

    def action_add(self) -> None:
        """Five tasks into the chosen queue."""
        self._act(lambda queue: actions.add(self._link, queue, 5))

    def action_add_delayed(self) -> None:
        """One task that starts in ten seconds."""
        self._act(lambda queue: actions.add(self._link, queue, 1, delay="10s"))

    def action_hold(self) -> None:
        """Holds or resumes the chosen queue."""
        self._act(lambda queue: actions.toggle_hold(self._link, queue))

    def action_revive(self) -> None:
        """The chosen queue's dead tasks back to waiting."""
        self._act(lambda queue: actions.revive(self._link, queue))

    def action_reset(self) -> None:
        """Discards what waits in the chosen queue, after asking."""
        if (queue := self.chosen) and (stats := self._before.get(queue)):
            what = f"{stats.waiting:,} waiting, {stats.delayed:,} delayed and {stats.dead:,} dead tasks"

            def answered(yes: bool | None) -> None:
                if yes:
                    self._act(lambda _: actions.reset(self._link, queue))

            self.push_screen(Confirm(f"Discard {what} of {queue}, for good?"), answered)

    @work
    async def _act(self, action: Callable[[str], Awaitable[str]]) -> None:
        if (queue := self.chosen) is None:
            self.notify("There is no queue yet; `ferryman enqueue` makes one.", severity="warning")
            return
        try:
            self.notify(await action(queue))
        except FerrymanError as error:
            self.notify(str(error), severity="error")
        await self.refresh_figures()
