"""The screen: a list of queues, the chosen one's workers, dead tasks or lanes below it, and the control panel's keys.

One reading at a time, in the background, so that keys work while a slow link is waited for; what was read last stays
on the screen, with its age. A key works on the queue under the cursor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import Input, Label

from ferryman.dev.top import actions
from ferryman.dev.top.board import Board
from ferryman.dev.top.details import details, tabs, task_of, worker_of
from ferryman.dev.top.head import about, head_line
from ferryman.dev.top.keys_help import KeysHelp, foot
from ferryman.dev.top.pace import Freshness, pause_s, says
from ferryman.dev.top.panel import ControlPanel
from ferryman.dev.top.readings import Pane, Reading, View, read
from ferryman.dev.top.rows import Rows
from ferryman.dev.top.task_screen import TaskScreen
from ferryman.errors import FerrymanError
from ferryman.inspector import Inspector
from ferryman.link import Link

#: Keys that repeat move the cursor faster than anybody reads: the figures follow when it rests.
_REST_S = 0.05


class TopApp(ControlPanel):
    """`connect` is called when the screen starts; `where` is the address to show; `patterns` limit the queues.

    It keeps to the terminal's own colours, and says nothing by a colour alone.
    """

    TITLE = "ferryman top"
    CSS = """
    Screen { background: ansi_default; overflow: hidden; }
    #head, #foot, #about, #tabs { width: 100%; padding: 0 1; }
    #head, #tabs { height: 1; text-style: bold; }
    #notice { width: 100%; padding: 0 1; max-height: 3; text-style: bold reverse; display: none; }
    #filter { height: 1; border: none; padding: 0 1; display: none; }
    #about { height: auto; border-top: solid ansi_default; }
    #queues { height: 3fr; min-height: 3; }
    #details { height: 2fr; min-height: 2; }
    #foot { height: 1; }
    Rows { scrollbar-size-vertical: 1; overflow-x: hidden; background: ansi_default; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "All keys"),
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter"),
        Binding("escape", "unfilter", "All queues", show=False),
        Binding("s", "sort", "Sort"),
        Binding("w", "pane('workers')", "Workers"),
        Binding("e", "pane('dead')", "Dead tasks"),
        Binding("l", "pane('lanes')", "Lanes"),
    ]

    def __init__(
        self,
        connect: Callable[[], Link],
        where: str,
        *,
        interval_s: float = 1.0,
        patterns: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._connect = connect
        self._where = where
        self._interval_s = interval_s
        self._clock = clock
        self.board = Board(patterns)
        self._pane = Pane.WORKERS
        self._worker: str | None = None
        self._reading: Reading | None = None
        self._took_s = 0.0
        self._error = ""
        self._read_at_s: float | None = None
        self._began_s: float | None = None
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._doing = ""
        self._said: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Head, the queues, the chosen one's details, the keys."""
        yield Label(self._where, id="head", markup=False)
        yield Label("", id="notice", markup=False)
        yield Input(placeholder="queues with this in their name; Esc shows all", id="filter")
        yield Rows("queues")
        yield Label("", id="about", markup=False)
        yield Label("", id="tabs", markup=False)
        yield Rows("details")
        yield Label("", id="foot", markup=False)

    def on_mount(self) -> None:
        """Draws at once what there is, and begins to read."""
        self.link = self._connect()
        self._queues = self.query_one("#queues", Rows)
        self._details = self.query_one("#details", Rows)
        self._queues.focus()
        self._show()
        self.set_interval(1.0, self._show_lines)
        self.watch_redis()

    async def on_unmount(self) -> None:
        """Closes the link."""
        await self.link.close()

    @property
    def chosen(self) -> str | None:
        """The queue under the cursor."""
        return self._queues.chosen

    @property
    def chosen_task(self) -> str | None:
        """The dead task under the cursor, when the keys go to that list."""
        return task_of(self._details.chosen) if self._details.has_focus and self._pane is Pane.DEAD else None

    # Reading.

    @work(group="watch")
    async def watch_redis(self) -> None:
        """Reads, rests, reads; at once when something else is on the screen."""
        while True:
            worked = await self.refresh_figures()
            try:
                async with asyncio.timeout(pause_s(self._took_s, self._interval_s, failed=not worked)):
                    await self._wake.wait()
                    await asyncio.sleep(_REST_S)
            except TimeoutError:
                pass
            self._wake.clear()

    async def refresh_figures(self) -> bool:
        """Reads and shows. False when Redis does not answer: that is said, and the last figures stay."""
        async with self._one_at_a_time:
            self._began_s = began_s = self._clock()
            try:
                reading = await read(self.link, self._view())
            except FerrymanError as error:
                self._error = str(error)
                self._show_lines()
                return False
            finally:
                self._began_s = None
            self._read_at_s = self._clock()
            self._took_s, self._error = self._read_at_s - began_s, ""
            self.board.take(reading)
            self._reading = reading
            self._show()
        if reading.names is not None or self._view().worker != reading.view.worker:
            self._wake.set()
        return True

    def _view(self) -> View:
        return View(
            known=self.board.known,
            queues=self.board.to_read(self._queues.first, self._queues.page, self.chosen),
            chosen=self.chosen,
            pane=self._pane,
            worker=self._worker,
            dead_at_most=self._details.first + self._details.page + 10,
        )

    # Showing.

    def _show(self) -> None:
        self._queues.show(self.board.table())
        self._details.show(details(self._pane, self._reading, self.chosen, self._worker))
        self._worker = worker_of(self._details.chosen, self._worker)
        self._show_lines()

    def _show_lines(self) -> None:
        """The head, what to know of the figures' age, and the chosen queue in words."""
        width = self.size.width - 2
        row = self.board.row(self.chosen) if self.chosen else None
        counts = (row.stats.workers, row.stats.dead) if row and row.stats else (None, None)
        self._say("#head", head_line(self._where, self.board.head, width))
        self._say("#notice", self._doing or says(self._freshness(), self._interval_s))
        self._say("#about", about(row, width) if row else "")
        self._say("#tabs", tabs(self._pane, *counts))
        self._say("#foot", foot(width))

    def _say(self, line: str, text: str) -> None:
        if self._said.get(line) != text:  # a line that is set again is laid out again
            self._said[line] = text
            label = self.screen_stack[0].query_one(line, Label)
            label.display = bool(text) or line != "#notice"
            label.update(text)

    def _freshness(self) -> Freshness:
        now_s = self._clock()
        return Freshness(
            age_s=None if self._read_at_s is None else now_s - self._read_at_s,
            waits_s=None if self._began_s is None else now_s - self._began_s,
            took_s=self._took_s,
            error=self._error,
        )

    def on_resize(self, _: Resize) -> None:
        """Other columns, other lines."""
        self.call_after_refresh(self._show)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Other details are wanted, or other queues are on the screen."""
        self._worker = worker_of(self._details.chosen, self._worker)
        if self._reading is not None and self._reading.view.chosen != self.chosen:
            self._worker = None
        self._show()
        self._wake.set()

    def on_rows_opened(self, message: Rows.Opened) -> None:
        """Enter: from a queue to its details, from a task to all that is known of it."""
        queue, task_id = self.chosen, task_of(message.key)
        if message.rows is self._queues:
            self._details.focus()
        elif queue and task_id:
            self.push_screen(
                TaskScreen(
                    f"{queue}: {task_id}",
                    lambda: self.link.run(Inspector(queue).get(task_id)),
                    lambda: self.carry_out(queue, lambda queue: actions.revive_one(self.link, queue, task_id)),
                )
            )

    # Keys that change what is shown.

    def action_keys(self) -> None:
        """All keys."""
        self.push_screen(KeysHelp())

    def action_sort(self) -> None:
        """By something else."""
        self.board.sort_next()
        self._show()
        self._wake.set()

    def action_pane(self, name: str) -> None:
        """Workers, dead tasks or lanes in the lower list."""
        self._pane = Pane(name)
        self._details.focus()
        self._show()
        self._wake.set()

    def action_filter(self) -> None:
        """Asks for a part of a name."""
        line = self.query_one("#filter", Input)
        line.display = True
        line.focus()

    def action_unfilter(self) -> None:
        """Back to the list of queues; from there all queues again."""
        line = self.query_one("#filter", Input)
        if line.has_focus or self._queues.has_focus:
            line.value, line.display = "", False
        self._queues.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Lists those with this in their name."""
        self.board.narrow(event.value.strip())
        self._show()
        self._wake.set()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The filter stays, the keys work again."""
        event.input.display = bool(event.value.strip())
        self._queues.focus()

    def tell(self, text: str) -> None:
        """How far an action has come."""
        self._doing = text
        self._show_lines()
