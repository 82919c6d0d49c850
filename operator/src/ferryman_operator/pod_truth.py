"""Pod truth: which workers are proven dead, and for which the operator can vouch. Pure.

A hint only shortens a deadline and a vouch only lengthens one for a while, so both may be wrong or late without
losing a task. What proves nothing takes the ordinary way: two looks at a passed deadline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ferryman.cause import POD_DELETED
from ferryman_operator.pods import Pod


class Worker(Protocol):
    """What is needed of a registered worker (ferryman.workers.WorkerRow)."""

    @property
    def id(self) -> str:
        """`<pod uid>.<container>.<nonce>`."""

    @property
    def deadline_ms(self) -> int:
        """When it must have beaten again, on Redis' clock."""

    @property
    def started_ms(self) -> int:
        """When it registered."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker whose process has ended, or is about to. `exempt` when Kubernetes announced it: no crash is charged.

    `surely` is False when it may live on for a while: a beat takes the hint back, so it must be given again.
    """

    worker: str
    reason: str
    exempt: bool
    surely: bool = True


def pod_uid(worker: str) -> str:
    """The pod's uid in a worker's id."""
    return worker.partition(".")[0]


def proven_gone(workers: Iterable[Worker], pods: Mapping[str, Pod], deleted: Mapping[str, Pod]) -> list[Gone]:
    """The registered workers whose end is proven, and those whose pod was deleted by force.

    `pods` are those that exist and `deleted` those whose DELETED event was seen, in their last state, by uid.
    """
    gone = []
    for worker in workers:
        uid = pod_uid(worker.id)
        pod = pods.get(uid) or deleted.get(uid)
        if pod is None:
            continue
        exempt = pod.terminating and pod.disrupted
        reason = next((end.reason for end in pod.exits if end.worker == worker.id), "")
        if reason:
            gone.append(Gone(worker.id, reason, exempt))
        elif uid not in pods:
            # Ended containers, or none at all, are proof. Deleted by force, it is told to end and nobody waits for it:
            # it may run on, on a node that nobody reaches even for long, and then its beats say so. As it ran to the
            # last, no task of its own was what ended it.
            surely = pod.ended or not pod.scheduled
            gone.append(Gone(worker.id, POD_DELETED, exempt or not surely, surely))
    return gone


def vouchable(workers: Sequence[Worker], pods: Mapping[str, Pod], *, now_ms: int, late_ms: int) -> list[str]:
    """The workers that are seen to run although they are about to miss their deadline.

    Only the newest worker of a pod: its container runs one process at a time. `late_ms` is how near the deadline
    must be; a worker that beats in time needs nobody's word.
    """
    newest: dict[str, Worker] = {}
    for worker in workers:
        uid = pod_uid(worker.id)
        if uid not in newest or worker.started_ms > newest[uid].started_ms:
            newest[uid] = worker
    return [
        worker.id
        for uid, worker in newest.items()
        if (pod := pods.get(uid))
        and pod.running
        and pod.reachable
        and not pod.terminating
        and not any(end.worker == worker.id for end in pod.exits)
        and worker.deadline_ms - now_ms < late_ms
    ]
