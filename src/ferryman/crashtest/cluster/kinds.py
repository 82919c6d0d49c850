"""Kinds: every fault that the crash test on Kubernetes causes, in the order in which --help lists them. Pure.

Apart from the code that does them, so that the command can show its help without loading that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

POD_DELETE: Final = "pod-delete"
POD_FORCE_DELETE: Final = "pod-force-delete"
CONTAINER_OOM: Final = "container-oom"
BEAT_CHILD: Final = "beat-child"
OPERATOR: Final = "operator"
SCHEDULER: Final = "scheduler"
REDIS: Final = "redis"
REDIS_POD: Final = "redis-pod"
HEARTBEAT_ONLY: Final = "heartbeat-only"
CRONJOB_ONLY: Final = "cronjob-only"


@dataclass(frozen=True, slots=True)
class Kind:
    """`alone_ms`: for how long nothing else is killed, because it measures who is left; 0 = others go on."""

    name: str
    does: str
    alone_ms: int = 0
    needs_own_redis: bool = False


#: Every kind by its name.
KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(POD_DELETE, "a worker pod is deleted: it lets its tasks end, gives back the rest, is replaced"),
        Kind(POD_FORCE_DELETE, "a worker pod is deleted with --force --grace-period=0"),
        Kind(CONTAINER_OOM, "the kernel's OOM killer ends a worker; its container restarts in the same pod"),
        Kind(BEAT_CHILD, "the process that sends a worker's heartbeats is killed"),
        Kind(OPERATOR, "the operator's pod is deleted by force, in mid-pass"),
        Kind(SCHEDULER, "the scheduler's pod is deleted by force, in mid-round"),
        Kind(REDIS, "SIGKILL to Redis; it comes back from its append-only file", needs_own_redis=True),
        Kind(REDIS_POD, "the pod of Redis is deleted by force; another one takes its volume", needs_own_redis=True),
        Kind(HEARTBEAT_ONLY, "pod-force-delete while no operator runs: only the silence tells", alone_ms=60_000),
        Kind(CRONJOB_ONLY, "the same while no scheduler runs either: the CronJob is left", alone_ms=130_000),
    )
}

#: Those that leave other kills beside them.
DEFAULT_KINDS: Final = tuple(kind.name for kind in KINDS.values() if not kind.alone_ms)
