"""Command: one call to Redis together with what the model makes of it.

A command is delivered when it reaches the server, which may be long after it was sent, and its sender may not hear of
it. The model always does: the judge changes the book, and fails when the reply is not one that the model allows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hypothesis import note

from ferryman.call import Call
from ferryman_model.book import Book
from ferryman_model.stage import Stage

#: Exits that may arrive once more: the latest ones.
MOST_COPIES: Final = 8


def same(what: str, found: object, expected: object) -> None:
    """Raises AssertionError with both."""
    assert found == expected, f"{what}: Redis has {found}, the model {expected}"


@dataclass(frozen=True, slots=True)
class Command:
    """`title` is for the printed steps of a failing example; `lives` names the deliveries that an exit would end."""

    title: str
    call: Call[Any]
    judge: Callable[[Any], None]
    lives: Mapping[str, bytes] = field(default_factory=dict)


class Fate(StrEnum):
    """What becomes of what is sent in one round trip."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"  # applied, but the reply is lost
    LATE = "late"  # the connection is half open: delivered some day, or never, to nobody's knowledge
    TORN = "torn"  # the first of them unanswered, the others late


@dataclass(slots=True)
class Message:
    """Commands that were sent over one connection, and have not arrived."""

    sender: str
    commands: list[Command]


class Network:
    """Between the actors and the server. One actor's new connection overtakes what its old one still carries.

    Every exit that was ever sent may have a copy on a connection that broke, so it may arrive once more.
    One thing never happens here, since nothing is proof against it: an exit does not outlive its task. A worker's
    exit that arrives when the same worker holds another task under the same id could be taken for that one's.
    """

    def __init__(self, stage: Stage, book: Book) -> None:
        self._stage = stage
        self._book = book
        self.under_way: list[Message] = []
        self.copies: deque[Message] = deque(maxlen=MOST_COPIES)

    def send(self, sender: str, commands: list[Command], fate: Fate = Fate.ANSWERED) -> list[Any] | None:
        """The replies, or None when the sender can't know what has become of it."""
        arriving = {Fate.LATE: 0, Fate.TORN: 1}.get(fate, len(commands))
        self.copies.extend(Message(sender, [command]) for command in commands if command.lives)
        if late := commands[arriving:]:
            self.under_way.append(Message(sender, late))
        replies = [self._arrive(sender, command) for command in commands[:arriving]]
        return replies if fate is Fate.ANSWERED else None

    def deliver(self, position: int) -> None:
        """A late message arrives."""
        self._arrive_late(self.under_way.pop(position))

    def deliver_a_copy(self, position: int) -> None:
        """An exit arrives once more."""
        self._arrive_late(self.copies[position])

    def _arrive_late(self, message: Message) -> None:
        for command in message.commands:
            if all(self._book.lives(id, life) for id, life in command.lives.items()):
                self._arrive(f"{message.sender}, late", command)

    def _arrive(self, sender: str, command: Command) -> Any:
        reply = self._stage.run(command.call)
        note(f"    {self._stage.now_ms % 10**9:>9} {sender}: {command.title} -> {reply}")
        command.judge(reply)
        return reply
