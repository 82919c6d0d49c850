"""Asks before something that cannot be undone, or that a person did not mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label


class Confirm(ModalScreen[bool]):
    """A question; `y` is yes, everything else is no."""

    CSS = """
    Confirm { align: center middle; background: transparent; }
    Confirm > Vertical { width: auto; max-width: 95%; height: auto; padding: 1 2; }
    Confirm > Vertical { border: heavy ansi_red; background: ansi_default; }
    Confirm Label { width: auto; max-width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question and the keys."""
        with Vertical():
            yield Label(self._question, markup=False)
            yield Label("\ny = yes; n, Esc or Enter = no", markup=False)

    def action_answer(self, yes: bool) -> None:
        """Closes with the answer."""
        self.dismiss(yes)
