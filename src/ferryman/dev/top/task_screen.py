"""One task in full: read when it is opened, and again after it was revived, since it may carry a megabyte."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from ferryman.dev.top.task_text import task_text
from ferryman.errors import FerrymanError
from ferryman.task import Task

_KEYS = "v revive  Esc back  Up Down scroll"


class TaskScreen(ModalScreen[None]):
    """`get` reads the task, `revive` moves it back to waiting and tells the person."""

    CSS = """
    TaskScreen { background: ansi_default; }
    TaskScreen Label { height: 1; width: 100%; padding: 0 1; text-style: bold; }
    TaskScreen VerticalScroll { height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Back"),
        Binding("v", "revive", "Revive"),
    ]

    def __init__(
        self, where: str, get: Callable[[], Awaitable[Task | None]], revive: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__()
        self._where = where
        self._get = get
        self._revive = revive

    def compose(self) -> ComposeResult:
        """Where it is, all about it, and the keys."""
        yield Label(self._where, markup=False)
        with VerticalScroll():
            yield Static("reading…", markup=False, id="task")
        yield Label(_KEYS, markup=False)

    def on_mount(self) -> None:
        """Reads it."""
        self.load()

    @work(group="act")
    async def load(self) -> None:
        """Reads it again."""
        try:
            task = await self._get()
            text = task_text(task) if task else "It is gone: it was discarded, or its kept status has expired."
        except FerrymanError as error:
            text = f"{error}\n\nEsc, and Enter tries again."
        self.query_one("#task", Static).update(text)

    @work(group="act")
    async def action_revive(self) -> None:
        """Back to waiting; then shows what became of it."""
        await self._revive()
        self.load()
