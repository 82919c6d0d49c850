"""WorkerRegistry: who lives, by a deadline that each worker promised itself; and what the operator tells about pods.

Every method builds a call. Nobody is declared dead here but the last worker of a slot, whose end the slot's lock proves
(`declare_dead`); for all others see `Broker.recover`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ferryman.call import Argument, Call, command
from ferryman.errors import ProtocolMismatch
from ferryman.keys import Keys
from ferryman.protocol import PROTOCOL, Step
from ferryman.task import check_queue_name

if TYPE_CHECKING:
    from ferryman.manifest import Manifest


class WorkerInfo(msgspec.Struct, frozen=True):
    """What a worker says of itself. `slot` is "<pod uid>.<container>" while its lock is held, else empty."""

    id: str
    slot: str
    pod: str
    timeout_ms: int
    beat_ms: int
    concurrency: int
    app: str
    version: str


class Registered(msgspec.Struct, frozen=True):
    """`holder` is who else is registered in the slot: then nothing was done, and that one is to be recovered first."""

    holder: str | None
    config: dict[str, str]
    now_ms: int


class Beat(msgspec.Struct, frozen=True):
    """The answer to a beat; `active` is the length of the worker's list as Redis sees it."""

    registered: bool
    active: int
    hold: bool
    draining: bool
    config_generation: int
    now_ms: int
    cancelled_at_us: int = 0  # when somebody last cancelled one of its tasks; 0 = nobody has


class WorkerRow(msgspec.Struct, frozen=True):
    """A registered worker as others see it; `deadline_ms` 0 = declared dead, its tasks on their way back."""

    id: str
    deadline_ms: int
    active: int
    pod: str
    concurrency: int
    draining: bool
    started_ms: int
    app: str
    version: str
    timeout_ms: int
    left_ms: int  # of its promise, at this look; below 0 when it has passed
    protocol: int = 0  # 0 = it did not say


class WorkerRegistry:
    """The workers of one queue. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def register(self, worker: WorkerInfo, manifest: Manifest) -> Call[Registered]:
        """Join, and publish the manifest; refused while the slot has another worker. Raises ProtocolMismatch."""
        k = self.keys
        args = (
            *(PROTOCOL, worker.id, worker.slot, worker.timeout_ms, worker.beat_ms),
            *(worker.pod, worker.concurrency, worker.app, worker.version),
            *manifest.encoded_schedules(),
            manifest.limits.encode(),
            manifest.digest(),
            *(word for name, entry in manifest.encoded() for word in (name, entry)),
        )
        keys = (
            *(k.workers, k.worker(worker.id), k.slots, k.manifest, k.config, k.schedules),
            *(k.versions, k.worker_prefix),
        )
        return Call("register", keys, args, _registered)

    def speak(self) -> Call[int]:
        """The scheduler's word on the protocol: raises the queue's number to its own; returns the one that counts.

        Raises ProtocolMismatch when the data, or a registered worker, is more than one away.
        """
        keys = (self.keys.config, self.keys.workers, self.keys.worker_prefix)
        return Call("speak", keys, (PROTOCOL,), _spoken)

    def beat(self, worker: str, timeout_ms: int) -> Call[Beat]:
        """Move the deadline to `timeout_ms` from now; does nothing for a worker that was declared dead."""
        k = self.keys
        return Call("beat", (k.workers, k.worker(worker), k.active(worker), k.config), (worker, timeout_ms), _beat)

    def unregister(self, worker: str) -> Call[bool]:
        """Leave; False while tasks are still held."""
        k = self.keys
        keys = (k.workers, k.worker(worker), k.active(worker), k.slots, k.suspected)
        return Call("unregister", keys, (worker,), bool)

    def in_slot(self, slot: str) -> Call[str | None]:
        """Who registered last in a container; it has neither left nor been recovered."""
        return command("HGET", self.keys.slots, slot, read=lambda reply: None if reply is None else reply.decode())

    def declare_dead(self, worker: str, reason: str) -> Call[bool]:
        """Its end is proven (this process holds its slot's lock): `Broker.recover` need not look twice."""
        k = self.keys
        return Call("declare_dead", (k.workers, k.worker(worker)), (worker, reason[:500]), bool)

    def holding(self, worker: str, limit: int = 1000) -> Call[list[tuple[str, int]]]:
        """(id, token) of what its active list holds, the oldest first."""
        k = self.keys
        return Call("holding", (k.active(worker), k.task), (limit,), _holding)

    def asked_to_stop(self, worker: str, ids: Sequence[str]) -> Call[list[str]]:
        """Which of these, that it holds, somebody has cancelled."""
        return Call("asked_to_stop", (self.keys.task,), (worker, *ids), _ids)

    def progress(self, worker: str, steps: Sequence[Step]) -> Call[int]:
        """How far its running tasks have come; returns how many of them it still holds."""
        args: list[Argument] = [worker]
        for step in steps:
            args += (step.id, step.token, step.progress)
        return Call("progress", (self.keys.task,), tuple(args), int)

    def look(self, limit: int = 500) -> Call[list[str]]:
        """Ids of workers whose deadline has passed: `Broker.recover` looks at each."""
        return Call("look", (self.keys.workers,), (limit,), _ids)

    def hint_gone(self, worker: str, reason: str, exempt: bool = False) -> Call[bool]:
        """Its container was seen to end: shorten the deadline to two silent beats. `exempt` charges no crash.

        Of a worker that its successor has recovered already, the reason gets into the evidence of the task it had.
        """
        k = self.keys
        keys = (k.workers, k.worker(worker), k.untold, k.task)
        return Call("hint_gone", keys, (worker, reason[:500], int(exempt)), bool)

    def vouch(self, workers: Sequence[str], lease_ms: int) -> Call[int]:
        """Their pods are seen running: recovery waits, up to a hard limit. Returns how many are registered."""
        return self._lease("vouched_until_ms", workers, lease_ms)

    def drain(self, workers: Sequence[str], lease_ms: int) -> Call[int]:
        """Fetch no more until the lease ends; 0 ends it now. Returns how many are registered."""
        return self._lease("drain_until_ms", workers, lease_ms)

    def list(self, limit: int = 1000) -> Call[list[WorkerRow]]:
        """Who is registered, the longest silent first."""
        k = self.keys
        return Call("list_workers", (k.workers, k.worker_prefix, k.active_prefix), (limit,), _rows)

    def _lease(self, field: str, workers: Sequence[str], lease_ms: int) -> Call[int]:
        keys = (self.keys.workers, *map(self.keys.worker, workers))
        return Call("lease", keys, (field, lease_ms, *workers), int)


def _registered(reply: Any) -> Registered:
    if reply[0] == b"protocol":
        raise ProtocolMismatch(PROTOCOL, int(reply[1]))
    if reply[0] == b"taken":
        return Registered(reply[1].decode(), {}, 0)
    words = [word.decode() for word in reply[2:]]
    return Registered(None, dict(zip(words[::2], words[1::2], strict=True)), int(reply[1]))


def _spoken(reply: Any) -> int:
    if reply[0] != b"ok":
        raise ProtocolMismatch(PROTOCOL, int(reply[1]), worker=reply[0] == b"worker")
    return int(reply[1])


def _beat(reply: Any) -> Beat:
    registered, active, hold, draining, generation, now, cancelled = map(int, reply)
    return Beat(bool(registered), active, bool(hold), bool(draining), generation, now, cancelled)


def _holding(reply: Any) -> list[tuple[str, int]]:
    return [(reply[i].decode(), int(reply[i + 1])) for i in range(0, len(reply), 2)]


def _ids(reply: Any) -> list[str]:
    return [worker.decode() for worker in reply]


def _rows(reply: Any) -> list[WorkerRow]:
    now = int(reply[0])
    return [
        WorkerRow(
            id=row[0].decode(),
            deadline_ms=_number(row[1]),
            active=int(row[2]),
            pod=row[3].decode("utf-8", "replace"),
            concurrency=_number(row[4]),
            draining=_number(row[5]) > now,
            started_ms=_number(row[6]),
            app=row[7].decode(),
            version=row[8].decode(),
            timeout_ms=_number(row[9]),
            left_ms=_number(row[1]) - now,
            protocol=_number(row[10]),
        )
        for row in reply[1:]
    ]


def _number(word: bytes) -> int:
    """What is damaged counts as 0: a list of workers is for people to see, and must not fail over one of them."""
    try:
        return int(float(word))
    except (ValueError, OverflowError):
        return 0
