"""Durability: whether tasks survive a restart and a full memory of their Redis, as far as that Redis tells.

Only INFO is asked, which managed services and ACLs allow more often than CONFIG. Redis does not tell there how often
it syncs its append-only file; docs/guarantees.md says what that means.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ferryman.call import Call, command
from ferryman.errors import BrokerError
from ferryman.link import Link

logger = logging.getLogger(__name__)

#: How soon a process that wants to warn at its start asks again when Redis did not answer.
_ASK_AGAIN_S: Final = 5.0

_SECTIONS: Final = ("memory", "persistence", "replication")


class Durability(msgspec.Struct, frozen=True):
    """The verdict: `durable` is None when Redis does not tell. Reason and message are those of a condition."""

    durable: bool | None
    reason: str
    message: str
    memory_used_bytes: int | None = None  # None when Redis does not tell
    memory_max_bytes: int | None = None  # 0: Redis has no limit of its own

    @property
    def evicts(self) -> bool:
        """Whether a full Redis throws tasks away."""
        return self.reason == EVICTS


APPEND_ONLY: Final = "AppendOnly"
EVICTS: Final = "Evicts"
WRITE_ERRORS: Final = "WriteErrors"
NO_APPEND_ONLY_FILE: Final = "NoAppendOnlyFile"
INFO_REFUSED: Final = "InfoRefused"
INFO_INCOMPLETE: Final = "InfoIncomplete"


def questions() -> list[Call[Mapping[str, Any]]]:
    """What to ask; one section at a time, because not every server takes several."""
    return [command("INFO", section, read=_section) for section in _SECTIONS]


def judge(replies: Sequence[Any]) -> Durability:
    """The verdict on the replies to the questions; a reply may be the error that was met."""
    told: dict[str, Any] = {}
    refused = ""
    for reply in replies:
        if isinstance(reply, Exception):
            refused = refused or str(reply)
        else:
            told |= reply
    used, limit = _number(told.get("used_memory")), _number(told.get("maxmemory"))
    return msgspec.structs.replace(_verdict(told, refused), memory_used_bytes=used, memory_max_bytes=limit)


async def warn_unless_durable(link: Callable[[], Link]) -> None:
    """Log one warning if tasks may get lost there; asks until Redis answers. `link` gives the one to use now."""
    while True:
        try:
            found = judge(await link().run_all(questions()))
        except BrokerError:
            await asyncio.sleep(_ASK_AGAIN_S)
            continue
        if found.durable is False:
            logger.warning("%s: %s", found.reason, found.message)
        return


def _verdict(told: Mapping[str, Any], refused: str) -> Durability:
    policy, append_only = told.get("maxmemory_policy"), _number(told.get("aof_enabled"))
    if policy is not None and not _keeps_tasks(str(policy)):
        return Durability(False, EVICTS, _evicts(str(policy), told))
    if append_only is not None and str(told.get("aof_last_write_status", "ok")) != "ok":
        return Durability(
            False,
            WRITE_ERRORS,
            "Redis cannot write its append-only file and takes no new tasks until it can; its log and its disk say why",
        )
    if append_only == 0:
        return Durability(False, NO_APPEND_ONLY_FILE, _forgets(told))
    if refused:
        return Durability(None, INFO_REFUSED, f"Redis does not say whether it keeps tasks: {refused}")
    if missing := [n for n, v in {"maxmemory_policy": policy, "aof_enabled": append_only}.items() if v is None]:
        return Durability(None, INFO_INCOMPLETE, f"Redis does not say whether it keeps tasks: no {', '.join(missing)}")
    return Durability(True, APPEND_ONLY, _keeps(str(policy), told))


def _section(reply: Any) -> Mapping[str, Any]:
    return reply if isinstance(reply, Mapping) else {}


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _keeps_tasks(policy: str) -> bool:
    """The volatile policies evict only keys that have a time to live, and no key that a task needs has one."""
    return policy == "noeviction" or policy.startswith("volatile-")


def _evicts(policy: str, told: Mapping[str, Any]) -> str:
    if _number(told.get("maxmemory")) == 0:
        when = "as soon as it is given a maxmemory and reaches it"
    else:
        when = "when it reaches its maxmemory"
    return f"Redis throws tasks away {when} (maxmemory-policy {policy}); set it to noeviction"


def _forgets(told: Mapping[str, Any]) -> str:
    consequence = "a restart of Redis loses tasks: it keeps no append-only file (set appendonly yes)"
    if _replicas(told):
        return f"{consequence}; {_replicas(told)} may take over, but replication is asynchronous"
    return consequence


def _keeps(policy: str, told: Mapping[str, Any]) -> str:
    full = "a full one refuses new tasks" if policy == "noeviction" else f"{policy} evicts no task"
    parts = ["tasks survive a restart of Redis (append-only file)", full, _replicas(told) or "no replica"]
    if str(told.get("aof_last_bgrewrite_status", "ok")) != "ok":
        parts.append("the last rewrite of the append-only file failed, so it grows: its log and its disk say why")
    return "; ".join(parts)


def _replicas(told: Mapping[str, Any]) -> str:
    connected = _number(told.get("connected_slaves"))
    if not connected:
        return ""
    text = f"{connected} replica" if connected == 1 else f"{connected} replicas"
    good = told.get("min_slaves_good_slaves")  # told only where min-replicas-to-write is set
    return text if good is None else f"{text}, {good} in step"
