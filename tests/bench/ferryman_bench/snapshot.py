"""Snapshot: every key of a queue as plain data, and what differs between two of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ferryman.call import command
from ferryman.link import Link

#: What a snapshot shows in the place of a moment; that it is there matters, its value is the clock's.
MOMENT: Final = "<moment>"

#: Fields that hold a moment.
MOMENTS: Final = frozenset(
    {
        "enqueued_ms",
        "since_ms",
        "finished_ms",
        "started_ms",
        "drain_until_ms",
        "vouched_until_ms",
        "claim_until_ms",
        "expires_ms",
        "progress_ms",
    }
)

#: Key of the queue, without its prefix -> a list (front first), a set's members by score, or a hash.
Snapshot = dict[str, Any]


async def snapshot(link: Link, queue: str) -> Snapshot:
    """Every key of the queue."""
    prefix = f"ferryman:{{{queue}}}:"
    keys = await link.run(command("KEYS", prefix + "*", read=lambda reply: sorted(key.decode() for key in reply)))
    return {key.removeprefix(prefix): await _value(link, key) for key in keys}


def changes(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """What differs: of a hash the fields that do, of anything else the new value; None for what is gone."""
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    result: dict[str, Any] = {}
    for key in differing:
        old, new = before.get(key), after.get(key)
        if isinstance(new, dict) and isinstance(old, dict | None):
            old = old or {}
            result[key] = {name: new.get(name) for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        else:
            result[key] = new
    return result


def hash_fields(reply: Mapping[bytes, bytes]) -> dict[str, str]:
    """The reply of HGETALL as text."""
    return {name.decode(): value.decode("utf-8", "replace") for name, value in reply.items()}


async def _value(link: Link, key: str) -> Any:
    kind = await link.run(command("TYPE", key, read=lambda reply: reply.decode()))
    if kind == "list":
        return await link.run(command("LRANGE", key, 0, -1, read=lambda reply: [x.decode() for x in reply][::-1]))
    if kind == "zset":
        return await link.run(command("ZRANGE", key, 0, -1, read=lambda reply: [x.decode() for x in reply]))
    if kind == "set":
        return await link.run(command("SMEMBERS", key, read=lambda reply: sorted(x.decode() for x in reply)))
    if kind == "hash":
        fields = await link.run(command("HGETALL", key, read=hash_fields))
        return {name: _shown(key, name, value) for name, value in fields.items()}
    return await link.run(command("GET", key, read=lambda reply: reply.decode()))


def _shown(key: str, name: str, value: str) -> str:
    if key.endswith(":suspected"):
        return f"{value.split('|')[1]} looks"
    if name in MOMENTS or key.endswith(":handed-seen"):
        return MOMENT
    return re.sub(r'"(at|started|ended)_ms":"?\d+"?', rf'"\1_ms":"{MOMENT}"', value)
