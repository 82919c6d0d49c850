"""Kinds: the name of every fault of a local crash test and what it does, in the order in which --help lists them.

Apart from the code that does them, so that the command can show its help without loading that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SIGKILL: Final = "sigkill"
POD_GONE: Final = "pod-gone"
SIGTERM: Final = "sigterm"
SIGTERM_TWICE: Final = "sigterm-twice"
PAUSE: Final = "pause"
OOM: Final = "oom"
SCHEDULER: Final = "scheduler"
API: Final = "api"
LINK_CUT: Final = "link-cut"
LINK_LOST_REPLY: Final = "link-lost-reply"
LINK_SLOW: Final = "link-slow"
LINK_HALF_OPEN: Final = "link-half-open"
LINK_DOWN: Final = "link-down"
LINK_SCHEDULER: Final = "link-scheduler"
LINK_PRODUCER: Final = "link-producer"
REDIS: Final = "redis"

#: Every kind, and what it does.
KINDS: Final[Mapping[str, str]] = {
    SIGKILL: "SIGKILL to a worker; its container restarts in place and takes over",
    POD_GONE: "SIGKILL to a worker and its children; another pod comes, so only its silence tells",
    SIGTERM: "SIGTERM to a worker: it lets its tasks end, gives back the rest, and is replaced",
    SIGTERM_TWICE: "a second SIGTERM: it stops its running tasks and gives them back too",
    PAUSE: "SIGSTOP for longer than --worker-timeout, then SIGCONT",
    OOM: "a worker outgrows a memory cgroup and the kernel kills it (where one can be made)",
    SCHEDULER: "SIGKILL to a scheduler; it is back after up to 3 s",
    API: "SIGKILL to `ferryman api` in mid-request; what was not answered is sent again",
    LINK_CUT: "all connections to Redis of a worker, or of everybody, are reset",
    LINK_LOST_REPLY: "Redis does what a worker asks, but its replies are lost with their connections",
    LINK_SLOW: "a worker's connections are slow, and what they carry comes in small pieces",
    LINK_HALF_OPEN: "a worker's connections hold what it sends and deliver it when it has opened others",
    LINK_DOWN: "no byte passes for longer than --worker-timeout; then what was held arrives late",
    LINK_SCHEDULER: "one of link-cut, -lost-reply, -slow and -half-open, to a scheduler",
    LINK_PRODUCER: "one of them to who enqueues; what was not answered is sent again, by the same ids",
    REDIS: "with --aof-restart or --failover: SIGKILL to Redis; it is back after 0.2 to 2 s",
}

#: Those that go through a proxy of the crash test's own.
LINK_KINDS: Final = tuple(kind for kind in KINDS if kind.startswith("link-"))

#: Those that need no Redis of the crash test's own.
DEFAULT_KINDS: Final = tuple(kind for kind in KINDS if kind != REDIS)
