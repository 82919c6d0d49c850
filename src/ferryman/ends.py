"""Ends: how tasks ended, and a list to wait at for the end of those that have not. Every method builds a call.

Who waits has a list of its own, under a name that it makes up. The scripts that end a task push its id onto the lists
of all who wait for it. What is pushed stays there for a minute, so a connection that breaks loses nothing but time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ferryman.call import Call, command
from ferryman.keys import Keys
from ferryman.task import check_queue_name


class Ending(msgspec.Struct, frozen=True):
    """How a task ended, or the state that it is in, or `missing`. `left` is what its end left: see attend.lua."""

    state: str
    left: bytes


class Ends:
    """The ends of one queue's tasks. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def attend(self, ids: Sequence[str], waiter: str = "") -> Call[list[Ending]]:
        """How each has ended; the end of those that have not goes to the list of `waiter`, if there is one."""
        k = self.keys
        return Call("attend", (k.task, k.result, k.awaiting), (waiter, *ids), _endings)

    def next(self, waiter: str, wait_s: float) -> Call[str | None]:
        """Waits for up to `wait_s` for an end; the id, or None. No script can wait, so this is a plain command."""
        return command("BLPOP", self.keys.told(waiter), wait_s, read=_popped)

    def more(self, waiter: str, limit: int = 500) -> Call[list[str]]:
        """Those that came together with it."""
        return command("LPOP", self.keys.told(waiter), limit, read=lambda reply: [id.decode() for id in reply or ()])


def _endings(reply: Any) -> list[Ending]:
    return [Ending(reply[i].decode(), reply[i + 1]) for i in range(0, len(reply), 2)]


def _popped(reply: Any) -> str | None:
    return None if reply is None else reply[1].decode()
