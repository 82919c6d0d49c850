"""Lifeline: ties a child process to its parent, so that no code of a dead worker runs on.

On Linux the kernel kills the child when the thread that forked it ends. Elsewhere (a developer's machine)
children notice that their parent is gone when they next read from it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Called first thing in a child, with the parent's pid as the parent knew it before the fork."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died between the fork and the line above; then the signal will never come.
    if os.getppid() != parent_pid:
        os._exit(1)


def leave_signals_to_parent() -> None:
    """A terminal's Ctrl-C and a stray SIGTERM reach the whole process group; only the worker acts on them.

    A handler that does nothing, not SIG_IGN: programs that a task starts would inherit the latter.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _do_nothing)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    return None
