"""The keys: in a line at the foot, as many as fit, and all of them on a screen of their own."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

_FOOT: Final = (
    *("? keys", "q quit", "/ filter", "s sort", "w workers", "e dead", "l lanes", "5 add", "d delayed"),
    *("h hold", "v revive", "r reset", "x crash", "Enter open"),
)

_HELP: Final = """\
Queues
  Up Down   another; also j k
  PgUp PgDn a screenful
  /         only names with this;
            Esc: all again
  s         sort by the next of
            name, trouble, dead,
            waiting, oldest
  !         something to notice

The chosen queue
  w         workers; the chosen
            one with what it holds
  e         dead tasks and errors
  l         lanes: what holds them
  Enter     a task in full
  Tab, Esc  back to the queues

Control panel
  5  add 5 tasks
  d  add one, to start in 10 s
  h  hold; resume
  v  revive the chosen dead task;
     from the queues: all; asks
  r  reset: discard what waits;
     asks
  x  crash a worker; asks

  q  quit

HOLDS counts what a worker has
fetched; not all of it has begun.
"""


def foot(width: int) -> str:
    """The first keys that fit."""
    line = ""
    for key in _FOOT:
        longer = f"{line}  {key}" if line else key
        if len(longer) > width - 2:
            break
        line = longer
    return line


class KeysHelp(ModalScreen[None]):
    """All keys. Any of ?, q, Esc and Enter closes it."""

    CSS = """
    KeysHelp { align: center middle; background: transparent; }
    KeysHelp > VerticalScroll { width: 40; max-width: 100%; height: auto; max-height: 100%; }
    KeysHelp > VerticalScroll { padding: 0 1; border: heavy ansi_default; background: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,question_mark", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """The text."""
        with VerticalScroll():
            yield Static(_HELP, markup=False)
