"""Binder: puts the results of other nodes where a workflow's node wants them: into its arguments, before the run.

Results are JSON, and go into the arguments' JSON as they are. While Redis is away this waits; nothing has run yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ferryman.call import command
from ferryman.errors import BrokerError, InvalidTask
from ferryman.keys import Keys
from ferryman.link import Link

logger = logging.getLogger(__name__)

#: Results asked for in one command.
_AT_ONCE: Final = 500
_AGAIN_S: Final = 0.5

_arguments: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode: Final = msgspec.json.Encoder().encode


class Binder:
    """For the nodes of one queue."""

    def __init__(self, link: Link, queue: str) -> None:
        self._link = link
        self._keys = Keys(queue)

    async def bound(self, args: bytes, binds: Mapping[str, str | list[str]]) -> bytes:
        """The arguments with the results in them. Raises InvalidTask for one that could not be kept."""
        ids = list(
            dict.fromkeys(id for bound in binds.values() for id in ([bound] if isinstance(bound, str) else bound))
        )
        results = dict(zip(ids, await self._results(ids), strict=True))
        try:
            arguments = _arguments.decode(args)
        except msgspec.MsgspecError as error:
            raise InvalidTask("args", f"can't be decoded: {error}") from error
        for parameter, bound in binds.items():
            if isinstance(bound, str):
                arguments[parameter] = msgspec.Raw(_json(parameter, bound, results[bound]))
            else:
                listed = b",".join(_json(parameter, id, results[id]) for id in bound)
                arguments[parameter] = msgspec.Raw(b"[" + listed + b"]")
        return _encode(arguments)

    async def _results(self, ids: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = []
        while len(found) < len(ids):
            keys = [self._keys.result + id for id in ids[len(found) : len(found) + _AT_ONCE]]
            try:
                found += await self._link.run(command("MGET", *keys, read=list))
            except BrokerError as error:
                logger.warning("the results that a task of %s waits for can't be read yet: %s", self._keys.queue, error)
                await asyncio.sleep(_AGAIN_S)
        return found


def _json(parameter: str, id: str, result: bytes | None) -> bytes:
    """Of a node that ended without a result, `null`: its failure is ignored."""
    match (result or b"")[:1]:
        case b"=":
            return (result or b"")[1:]
        case b"!":
            raise InvalidTask(
                parameter, f"the result of {id} was not kept: {(result or b'')[1:].decode(errors='replace')}"
            )
    return b"null"
