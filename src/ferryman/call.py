"""A call to Redis as data: which script, which keys and arguments, and how to read the reply.

Transitions are described once (`broker`, `workers`, `policy`, `inspector`) and run by either kind of link,
alone or pipelined, so there are no sync and async twins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)
Argument = bytes | str | int | float


class Call(msgspec.Struct, Generic[T_co], frozen=True, eq=False, gc=False):
    """One script (`script` is its file's name), or one plain command when `script` is empty.

    `read` turns the raw reply into the result and may raise a FerrymanError. `then` is a command that must follow on
    the same connection, whichever the call ends up on; with it, `read` is given the pair of replies, and the second
    may be an error.
    """

    script: str
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    read: Callable[[Any], T_co]
    then: tuple[Argument, ...] = ()


def command(*words: Argument, read: Callable[[Any], T_co]) -> Call[T_co]:
    """A plain command: a read, or a single write that needs no check (the hand-over, the set of known queues)."""
    return Call("", (), words, read)
