"""AgingClock: time for a server whose own can't be moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferryman.call import Call, command
from ferryman.link import Link
from ferryman_bench.snapshot import MOMENTS, hash_fields


class AgingClock:
    """Every moment that the queue has stored moves back instead."""

    def __init__(self, link: Link, queue: str = "bench") -> None:
        self._link = link
        self._prefix = f"ferryman:{{{queue}}}:"

    async def advance(self, ms: int) -> None:
        """`ms` later, as seen from the queue's data."""
        calls: list[Call[Any]] = []
        timed = [
            self._prefix + name
            for name in ("workers", "delayed", "blocked", "dead", "completed", "flow-sending", "expiring", "lane-wakes")
        ]
        starts = await self._link.run(command("KEYS", self._prefix + "starts:*", read=list))
        for key in (*timed, *(key.decode() for key in starts)):
            # A worker that was declared dead has the deadline 0, and keeps it.
            for member in await self._link.run(command("ZRANGEBYSCORE", key, 1, "+inf", read=list)):
                calls.append(command("ZINCRBY", key, -ms, member, read=bool))
        for key in await self._link.run(command("KEYS", self._prefix + "*", read=list)):
            if b":throttle:" in key:
                until_ms, owner = (await self._link.run(command("GET", key, read=bytes))).split(b" ", 1)
                calls.append(command("SET", key, f"{int(until_ms) - ms} {owner.decode()}", "KEEPTTL", read=bool))
            if await self._link.run(command("TYPE", key, read=bytes)) == b"hash":
                fields = await self._link.run(command("HGETALL", key, read=hash_fields))
                older = _older(key.decode().removeprefix(self._prefix), fields, ms)
                calls += [command("HSET", key, name, value, read=int) for name, value in older.items()]
        await self._link.run_all(calls)


def _older(key: str, fields: Mapping[str, str], ms: int) -> dict[str, str]:
    if key == "suspected":
        looks = {worker: value.split("|") for worker, value in fields.items()}
        return {
            worker: f"{int(deadline) - ms}|{n}|{int(first) - ms}|{int(last) - ms}"
            for worker, (deadline, n, first, last) in looks.items()
        }
    moments = fields.keys() if key == "handed-seen" else MOMENTS & fields.keys()
    return {name: str(int(float(fields[name])) - ms) for name in moments}
