"""First process: what a container runs, and how it is told to end before it has learnt how to end well.

The kernel keeps from process 1 every signal that it has not asked for. Until a program has set its own way to stop, a
SIGTERM would be lost: its pod would work on, take tasks even, until the grace is over and it is killed.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn


def end_when_told() -> None:
    """Called first thing by a program: SIGTERM ends it at once, as it would any other process. It holds nothing yet."""
    if os.getpid() == 1 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)
