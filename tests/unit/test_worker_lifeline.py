"""A child process and its parent: no code of a dead worker runs on."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from contextlib import suppress

from ferryman_worker.lifeline import die_with_parent

#: A child that is still there after this lives on.
PATIENCE_S = 5


def fork(act: Callable[[], None]) -> int:
    """A child that does this and ends."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(1)
    return pid


def ends(line: int) -> bool:
    """Whether everybody who holds the other end of this pipe ends in time."""
    readable, _, _ = select.select([line], [], [], PATIENCE_S)
    return bool(readable) and os.read(line, 1) == b""


def test_a_child_dies_with_its_parent() -> None:
    ours, theirs = os.pipe()
    told, tell = os.pipe()

    def live_as_child(parent: int) -> None:
        die_with_parent(parent)
        os.write(tell, b"%d\n" % os.getpid())
        signal.pause()

    def live_as_parent() -> None:
        me = os.getpid()
        fork(lambda: live_as_child(me))
        signal.pause()

    parent = fork(live_as_parent)
    os.close(theirs)
    child = int(os.read(told, 20))
    try:
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        assert ends(ours)
    finally:
        _kill(child)
        for descriptor in (ours, told, tell):
            os.close(descriptor)


def test_a_child_whose_parent_died_before_it_could_ask_ends_itself() -> None:
    ours, theirs = os.pipe()
    told, tell = os.pipe()

    def live() -> None:
        os.write(tell, b"%d\n" % os.getpid())
        die_with_parent(1)  # its parent's pid before the fork; by now somebody else is its parent
        signal.pause()

    pid = fork(live)
    os.close(theirs)
    assert int(os.read(told, 20)) == pid
    try:
        assert ends(ours)
    finally:
        _kill(pid)
        os.waitpid(pid, 0)
        for descriptor in (ours, told, tell):
            os.close(descriptor)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
