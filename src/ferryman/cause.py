"""Cause: why tasks were taken back from where they were, as metrics and people count it.

`recover` says the reason that stands with a dead worker: what the operator read of its container, what the worker
said itself, or nothing. Reasons are texts for people and without end; causes are few.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

#: The reason where nobody has given one (as recover.lua says it).
NO_REASON: Final = "heartbeat"
#: Given by the next process of the same container.
CONTAINER_RESTARTED: Final = "its process ended, and its container runs again"
#: How a worker's own last words begin.
RESIGNED: Final = "Resigned: "
#: Given by the operator for a pod that is gone, and what stands in the kubelet's words about a container's end.
POD_DELETED: Final = "PodDeleted"
_EXIT: Final = ", exit code "


class Cause(StrEnum):
    """Which finding brought tasks back to waiting, or to dead."""

    #: The next process of the worker's container, and nobody has said how the one before it ended.
    RESTARTED = "restarted"
    #: Its container was killed for memory.
    OOM_KILLED = "oom_killed"
    #: Its container ended in another way.
    EXITED = "exited"
    #: Its container ended as Kubernetes had announced: a drain, a preemption, an eviction.
    DISRUPTED = "disrupted"
    #: Its pod is gone.
    POD_DELETED = "pod_deleted"
    #: It said that it must end with code that can't be stopped.
    RESIGNED = "resigned"
    #: A reason that this version does not know.
    OTHER = "other"
    #: It fell silent, and its deadline passed: no reason is known.
    DEADLINE = "deadline"
    #: A worker that lives was given them, and the reply was lost.
    LOST_FETCH = "lost_fetch"
    #: They lay between a worker's BLMOVE and its fetch, and it never came.
    HANDED = "handed"


#: The causes that end a worker.
DEATHS: Final = tuple(cause for cause in Cause if cause not in (Cause.LOST_FETCH, Cause.HANDED))


def cause_of(reason: str, exempt: bool) -> Cause:
    """The cause for a dead worker's `reason`; `exempt` when its end was announced, so that nobody was charged."""
    if reason == NO_REASON:
        return Cause.DEADLINE
    if reason == CONTAINER_RESTARTED:
        return Cause.RESTARTED
    if reason.startswith(RESIGNED):
        return Cause.RESIGNED
    if reason.startswith("OOMKilled"):
        return Cause.OOM_KILLED
    if reason.startswith(POD_DELETED):
        return Cause.POD_DELETED
    if _EXIT in reason:
        return Cause.DISRUPTED if exempt else Cause.EXITED
    return Cause.OTHER
