"""Refusals: what an error of Redis, or on the way to it, means."""

from __future__ import annotations

from typing import Any

from ferryman.errors import BrokerError, BrokerRefused, BrokerUnavailable, QueueFull
from ferryman.wire import NotAdmitted, Refusal

#: Codes of a server that is a replica, loading, failing over, or can't write its disk: it passes, and says nothing
#: of the call.
_NOT_NOW = ("READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")

_FULL_OF_CLIENTS = "ERR max number of clients reached"


def translate(error: Exception, where: str) -> BrokerError:
    """The FerrymanError that says what an error of the Redis at `where`, or on the way to it, means."""
    if isinstance(error, NotAdmitted):
        return BrokerUnavailable(f"Redis at {where} refused the user or password: {error}")
    if not isinstance(error, Refusal):
        return BrokerUnavailable(f"Redis at {where} does not answer: {error}")
    if error.code == "OOM":
        return QueueFull(
            f"Redis at {where} is at its maxmemory: nothing was enqueued; let workers drain it, or give it memory"
        )
    if error.code in ("NOAUTH", "WRONGPASS"):
        return BrokerUnavailable(f"Redis at {where} refused the user or password: {error}")
    if str(error).startswith(_FULL_OF_CLIENTS):
        return BrokerUnavailable(f"Redis at {where} has too many connections: {error}")
    if error.code == "NOREPLICAS":
        return BrokerUnavailable(
            f"Redis at {where} takes no writes now: fewer replicas are in step than its min-replicas-to-write asks "
            f"for. It takes them again when they are back; bring them back, or lower the setting ({error})"
        )
    if error.code == "LOADING":
        return BrokerUnavailable(f"Redis at {where} is not ready yet: {error}")
    if error.code in _NOT_NOW:
        return BrokerUnavailable(f"Redis at {where} takes no writes now: {error}")
    return BrokerRefused(f"Redis at {where}: {error}")


def is_lost(reply: Any) -> bool:
    """Whether the server does not know the script."""
    return isinstance(reply, Refusal) and reply.code == "NOSCRIPT"


def turns_away(refusal: Refusal) -> bool:
    """Whether it would refuse anything now."""
    return refusal.code in ("LOADING", "NOAUTH") or str(refusal).startswith(_FULL_OF_CLIENTS)


def cannot_compile(error: Refusal) -> bool:
    """A server that knows no flags trips over the first character; anything else (NOAUTH, LOADING) is a failure."""
    text = str(error).lower()
    return any(sign in text for sign in ("compiling", "syntax", "unexpected symbol"))
