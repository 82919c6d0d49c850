"""Wire: how commands and replies look on a connection to Redis. hiredis does the work, in C; nothing is sent here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import hiredis

from ferryman.call import Argument

Words: TypeAlias = Sequence[Argument]

_pack: Final[Callable[[Any], bytes]] = hiredis.pack_command  # its stub knows tuples of one word only

#: Not False: nothing that Redis can say is mistaken for it.
_NOTHING_YET: Final = object()


class Refusal(Exception):
    """Redis has answered a command with an error, which begins with a word in capitals: its code."""

    @property
    def code(self) -> str:
        """NOSCRIPT, OOM, READONLY, …; or ERR, when Redis says nothing closer."""
        return str(self).partition(" ")[0]


class NotAdmitted(ConnectionError):
    """Redis wants another user or password."""


class Replies:
    """What a connection has received, cut into replies."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=_NOTHING_YET)

    def take(self, data: bytes, replies: list[Any]) -> None:
        """More was received: add what are whole replies now. Raises ConnectionError when no Redis says such a thing."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _NOTHING_YET:
                replies.append(reply)
        except hiredis.ProtocolError as error:
            raise ConnectionError(f"what answers is no Redis: {error}") from error


def packed(commands: Sequence[Words]) -> bytes:
    """Commands, one after another, as they are sent."""
    if len(commands) == 1:
        return _pack(tuple(commands[0]))
    return b"".join([_pack(tuple(words)) for words in commands])


def understood(commands: Sequence[Words], replies: list[Any]) -> list[Any]:
    """The replies as a call reads them: what is a mapping by its meaning is a dict, as with redis-py."""
    if len(commands) == 1 and commands[0][0] not in _MAPPINGS:
        return replies
    return [
        reply if isinstance(reply, Exception) or (read := _MAPPINGS.get(words[0])) is None else read(reply)
        for words, reply in zip(commands, replies, strict=True)
    ]


def check_greeting(greeting: Sequence[Words], replies: Sequence[Any]) -> None:
    """Raises NotAdmitted or ConnectionError when Redis does not take a new connection as it should be."""
    for words, reply in zip(greeting, replies, strict=True):
        # It works without a name, which an ACL may forbid.
        if isinstance(reply, Refusal) and words[0] != "CLIENT":
            raise (NotAdmitted if words[0] == "AUTH" else ConnectionError)(str(reply))


def _pairs(reply: Sequence[bytes]) -> dict[bytes, bytes]:
    parts = iter(reply)
    return dict(zip(parts, parts, strict=True))


def _info(reply: bytes) -> dict[str, Any]:
    lines = [line.partition(":") for line in reply.decode(errors="replace").splitlines()]
    return {name: _figures(text) for name, colon, text in lines if colon and not name.startswith("#")}


def _figures(text: str) -> Any:
    """A figure; or several, where INFO tells of one thing as `calls=5,usec=12`."""
    if "=" not in text or "," not in text:
        return _figure(text)
    return {name: _figure(value) for name, _, value in (part.partition("=") for part in text.split(","))}


def _figure(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


_MAPPINGS: Final[Mapping[Argument, Callable[[Any], Any]]] = {"HGETALL": _pairs, "INFO": _info}
