"""Interruptions: tasks that had to begin anew because the operator took their worker's pod. Pure.

A pod is taken by a scale-down or a rollout. Its worker then takes nothing new and has its grace to end what it runs;
what it still holds when that is over goes back, and counts here. It should never happen: idle workers go first, and
the grace follows from the task timeout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ferryman_operator.pod_truth import pod_uid
from ferryman_operator.pods import Pod

#: So long before a pod is killed its worker gives back what it still holds: worker_deployment.EXIT_S, and a little.
GIVES_BACK_S: Final = 6.0

#: A pod that ends within this time after fewer workers were asked for, or in a rollout, was taken by the operator.
OURS_S: Final = 15.0


class Worker(Protocol):
    """What is needed of a registered worker (ferryman.workers.WorkerRow)."""

    @property
    def id(self) -> str:
        """`<pod uid>.<container>.<nonce>`."""

    @property
    def active(self) -> int:
        """Tasks that it holds."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A pod on its way out: whether the operator took it, when it is killed (epoch), and the tasks it held last."""

    name: str
    ours: bool
    killed_s: float
    held: int


@dataclass(frozen=True, slots=True)
class Interruption:
    """A pod that the operator took, and the tasks that its end interrupted."""

    pod: str
    tasks: int


def look(
    endings: Mapping[str, Ending], pods: Iterable[Pod], workers: Iterable[Worker], *, ours: bool, now_s: float
) -> tuple[dict[str, Ending], list[Interruption]]:
    """The pods that are ending now, by uid, and what was interrupted since the last look.

    `ours` says whether pods that begin to end at this moment are the operator's doing.
    """
    terminating = {pod.uid: pod for pod in pods if pod.terminating}
    held = dict.fromkeys({*terminating, *endings}, 0)
    for worker in workers:
        if (uid := pod_uid(worker.id)) in held:
            held[uid] += worker.active
    found, interruptions = {}, []
    for uid, now_held in held.items():
        pod = terminating.get(uid)
        ending = endings.get(uid)
        if ending is None:
            assert pod
            # What Kubernetes announced (a drained node, a preemption) is somebody else's doing.
            ending = Ending(pod.name, ours and not pod.disrupted, pod.killed_s, now_held)
        elif now_held < ending.held and ending.ours and now_s >= ending.killed_s - GIVES_BACK_S:
            interruptions.append(Interruption(ending.name, ending.held - now_held))
        if pod or now_held:
            found[uid] = replace(ending, held=now_held)
    return found, interruptions
