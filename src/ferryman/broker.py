"""Broker: every transition of a task, one method per script.

The methods build calls and touch no network; a link runs them. Which states a transition connects, what it
checks and what it returns stands on top of its script.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from ferryman.call import Argument, Call, command
from ferryman.cause import cause_of
from ferryman.errors import ProtocolMismatch
from ferryman.keys import QUEUES, Keys
from ferryman.new_task import Enqueued, NewTask, words_of
from ferryman.protocol import (
    PROTOCOL,
    Advanced,
    Completion,
    Delivery,
    ExitReply,
    Expired,
    Fetched,
    Mended,
    Moved,
    Outcomes,
    Promoted,
    Recovery,
    Trimmed,
)
from ferryman.task import TaskState, check_queue_name

#: A workflow whose next batch has not come for so long is given up.
ABANDON_MS = 600_000

#: To `fetch`: what stands longest in `handed`, for no answer of the hand-over is known yet. No id looks like that.
ANY_HANDED = "?"

#: Longest error text kept with a task, in characters.
MAX_ERROR_CHARS = 4000


class Broker:
    """The transitions of one queue. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def enqueue(self, tasks: Sequence[NewTask]) -> Call[list[Enqueued]]:
        """New -> waiting or delayed. Raises InvalidTask before anything is sent."""
        return Call("enqueue", self._enqueue_keys, (PROTOCOL, *words_of(tasks)), partial(_enqueued, tasks))

    def announce(self) -> Call[int]:
        """Add the queue to the set of known queues; before a process's first enqueue and now and then after it."""
        return command("SADD", QUEUES, self.queue, read=int)

    def promote(self, limit: int = 500) -> Call[Promoted]:
        """Delayed and due -> waiting, at most `limit`."""
        k = self.keys
        return Call("promote", (k.delayed, k.waiting, k.priority, k.stats, k.task, k.dead, k.root), (limit,), _promoted)

    def hand_over(self, wait_s: float) -> Call[str | None]:
        """Waiting -> handed, by BLMOVE: waits for up to `wait_s` and returns an id or a marker to fetch, or None.

        The one move without a script, since no script can wait. Redis refuses it (QueueFull) at its `maxmemory`.
        """
        k = self.keys
        return command("BLMOVE", k.waiting, k.handed, "RIGHT", "LEFT", wait_s, read=_handed)

    def fetch(self, worker: str, limit: int, handed: str | None = None) -> Call[Fetched]:
        """Handed or waiting -> active of `worker`, at most `limit`; `handed`: what BLMOVE gave to it, or ANY_HANDED."""
        k = self.keys
        keys = (
            *(k.waiting, k.handed, k.priority, k.active(worker), k.workers, k.worker(worker)),
            *(k.dead, k.stats, k.config, k.task, k.root),
        )
        return Call("fetch", keys, (worker, limit, handed or ""), _fetched)

    def complete(self, worker: str, done: Sequence[Completion]) -> Call[Outcomes]:
        """Active -> completed, a batch."""
        k = self.keys
        args: list[Argument] = [worker, sum(c.run_ms for c in done)]
        for c in done:
            args += (c.id, c.token, c.result)
        keys = (k.active(worker), k.workers, k.completed, k.stats, k.config, k.task, k.unique, k.root)
        return Call("complete", keys, tuple(args), _outcomes)

    def retry(
        self,
        worker: str,
        id: str,
        token: int,
        *,
        delay_ms: int,
        spend: bool = True,
        error: str = "",
        run_ms: int = 0,
        park: bool = False,
        park_counted: bool = True,
    ) -> Call[ExitReply]:
        """Active -> delayed. `spend` counts the attempt; `park` is for what this worker can't run: no attempt is spent,
        and no park either when it is not `park_counted`."""
        k = self.keys
        keys = (k.active(worker), k.workers, k.delayed, k.stats, k.task, k.root)
        parks = 0 if not park else 1 if park_counted else 2
        args = (worker, id, token, delay_ms, int(spend), error[:MAX_ERROR_CHARS], run_ms, parks)
        return Call("retry", keys, args, _exit)

    def dead_letter(self, worker: str, id: str, token: int, *, error: str, run_ms: int = 0) -> Call[ExitReply]:
        """Active -> dead."""
        k = self.keys
        keys = (k.active(worker), k.workers, k.dead, k.stats, k.task, k.unique, k.root)
        return Call("dead_letter", keys, (worker, id, token, error[:MAX_ERROR_CHARS], run_ms), _exit)

    def crash(self, worker: str, id: str, token: int, *, reason: str) -> Call[ExitReply]:
        """Active -> front of waiting, or dead: the process that ran this task died, alone. No attempt is spent."""
        k = self.keys
        keys = (
            *(k.active(worker), k.workers, k.worker(worker), k.waiting, k.priority, k.dead),
            *(k.config, k.task, k.unique, k.stats, k.root),
        )
        return Call("crash", keys, (worker, id, token, reason[:MAX_ERROR_CHARS]), _exit)

    def requeue(self, worker: str, held: Sequence[tuple[str, int]]) -> Call[Outcomes]:
        """Active -> front of waiting, nothing spent; `held` is (id, token) in the order of their fetch."""
        k = self.keys
        args: list[Argument] = [worker]
        for task_id, token in reversed(held):
            args += (task_id, token)
        keys = (k.active(worker), k.workers, k.waiting, k.priority, k.task, k.root)
        return Call("requeue", keys, tuple(args), _outcomes)

    def recover(self, worker: str, limit: int = 200) -> Call[Recovery]:
        """One look at `worker`; when it is dead, its active -> front of waiting, or dead."""
        k = self.keys
        keys = (
            *(k.workers, k.worker(worker), k.active(worker), k.suspected, k.slots, k.waiting),
            *(k.priority, k.dead, k.stats, k.config, k.task, k.unique, k.root),
        )
        return Call("recover", keys, (worker, limit), _recovery)

    def recover_handed(self, limit: int = 200) -> Call[int]:
        """One look at `handed`; what was forgotten there -> front of waiting. Returns how many."""
        k = self.keys
        return Call("recover_handed", (k.handed, k.handed_seen, k.waiting), (limit,), int)

    def revive(self, ids: Sequence[str] | None = None, limit: int = 200) -> Call[Moved]:
        """Dead -> waiting: these, or the `limit` oldest."""
        k = self.keys
        keys = (k.dead, k.waiting, k.priority, k.stats, k.task, k.unique, k.root)
        return Call("revive", keys, (limit, *(ids or ())), _revived)

    def discard(self, state: TaskState, ids: Sequence[str] | None = None, limit: int = 200) -> Call[Moved]:
        """Waiting, delayed, blocked or dead -> gone: these ids, or `limit` first ones; of completed the kept status."""
        return Call("discard", self._discard_keys(), (state.value, limit, *(ids or ())), _discarded)

    def cancel(self, id: str) -> Call[str]:
        """One id, wherever it is: "discarded", or left alone because it is "active", "finished" or "missing"."""
        return Call("discard", self._discard_keys(), ("", 1, id), _cancelled)

    def ask_to_stop(self, id: str) -> Call[str]:
        """Of a running task: its worker is asked to stop it. "asked", "missing", or the state that it has instead."""
        return Call("cancel", (self.keys.task, self.keys.worker_prefix), (id,), lambda reply: str(reply.decode()))

    def expire(self, limit: int = 500) -> Call[Expired]:
        """Waiting, delayed or blocked and past its deadline -> discarded, at most `limit`."""
        k = self.keys
        keys = (k.expiring, k.priority, k.delayed, k.blocked, k.stats, k.task, k.root)
        return Call("expire", keys, (limit,), _expired)

    def trim(self, limit: int = 500) -> Call[Trimmed]:
        """Completed and dead past their retention -> gone."""
        k = self.keys
        return Call("trim", (k.completed, k.dead, k.stats, k.config, k.task, k.root), (limit,), _trimmed)

    def start_flow(self, flow: str) -> Call[str]:
        """A workflow that came in several batches is complete: its first nodes, blocked -> waiting.

        Returns "started", "partial", "discarded" (it was given up half sent) or "missing".
        """
        k = self.keys
        return Call("start_flow", (k.flow(flow), k.flow_sending, k.root), (flow,), lambda reply: reply[0].decode())

    def advance(self, limit: int = 200, abandon_ms: int = ABANDON_MS) -> Call[Advanced]:
        """Blocked -> waiting or discarded: what ends of workflows' nodes set off and no exit had the time for."""
        k = self.keys
        return Call("advance", (k.flow_steps, k.flow_sending, k.config, k.root), (limit, abandon_ms), _advanced)

    def mend_lanes(self, limit: int = 200, lanes: int = 0, blocked: int = 0) -> Call[Mended]:
        """Repair lanes, apply changed limits: `limit` lanes and blocked tasks, after so many of either (-1 = none)."""
        k = self.keys
        return Call("mend_lanes", (k.lanes, k.blocked, k.task, k.root), (limit, lanes, blocked), _mended)

    @cached_property
    def _enqueue_keys(self) -> tuple[str, ...]:
        k = self.keys
        return (k.waiting, k.delayed, k.priority, k.stats, k.config, k.task, k.unique, k.root)

    def _discard_keys(self) -> tuple[str, ...]:
        k = self.keys
        return (
            *(k.waiting, k.priority, k.delayed, k.dead, k.completed, k.stats),
            *(k.task, k.unique, k.blocked, k.root),
        )


def _enqueued(tasks: Sequence[NewTask], reply: Any) -> list[Enqueued]:
    if reply == 1:
        return [Enqueued(task.id, True) for task in tasks]
    if reply[0] == b"protocol":
        raise ProtocolMismatch(PROTOCOL, int(reply[1]))
    return [Enqueued(reply[i].decode(), bool(reply[i + 1])) for i in range(1, len(reply), 2)]


def _promoted(reply: Any) -> Promoted:
    count, next_due, lag, now = map(int, reply)
    return Promoted(count, next_due if next_due >= 0 else None, lag, now)


def _handed(reply: Any) -> str | None:
    return None if reply is None else reply.decode()


def _fetched(reply: Any) -> Fetched:
    tasks = [
        Delivery(
            row[0].decode(),
            row[1].decode("utf-8", "replace"),
            row[2],
            row[3],
            int(row[4]) + 1,
            int(row[5]),
            int(row[6]),
            int(row[7]),
            row[8] == 1,
            int(row[9]),
            int(row[10]),
        )
        for row in reply[3:]
    ]
    return Fetched(reply[0].decode(), int(reply[1]), int(reply[2]), tasks)


def _exit(reply: Any) -> ExitReply:
    return ExitReply(reply.decode())


def _outcomes(reply: Any) -> Outcomes:
    return Outcomes(ExitReply(reply[0].decode()), [task_id.decode() for task_id in reply[1:]])


def _recovery(reply: Any) -> Recovery:
    verdict, (waiting, dead, left) = reply[0].decode(), map(int, reply[1:4])
    if verdict != "dead":
        return Recovery(verdict, waiting, dead, left)
    cause, words = cause_of(reply[4].decode("utf-8", "replace"), bool(reply[5])), [word.decode() for word in reply[6]]
    return Recovery(verdict, waiting, dead, left, cause, tuple(zip(words[::2], words[1::2], strict=True)))


def _revived(reply: Any) -> Moved:
    return Moved([task_id.decode() for task_id in reply[1:]], int(reply[0]))


def _discarded(reply: Any) -> Moved:
    left_alone = (b"active", b"other", b"missing")
    ids = [reply[i].decode() for i in range(1, len(reply), 2) if reply[i + 1] not in left_alone]
    return Moved(ids, int(reply[0]))


def _cancelled(reply: Any) -> str:
    found: str = reply[2].decode()
    if found in ("active", "missing"):
        return found
    return "finished" if found in ("completed", "discarded") else "discarded"


def _expired(reply: Any) -> Expired:
    count, seen, next_ms, now = map(int, reply)
    return Expired(count, seen, next_ms if next_ms >= 0 else None, now)


def _mended(reply: Any) -> Mended:
    return Mended(*map(int, reply))


def _advanced(reply: Any) -> Advanced:
    return Advanced(*map(int, reply))


def _trimmed(reply: Any) -> Trimmed:
    return Trimmed(int(reply[0]), int(reply[1]))
