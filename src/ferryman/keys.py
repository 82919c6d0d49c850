"""The Redis keys of a queue: one documented property each, all with the queue's hash tag.

One queue lives in one slot of a Redis Cluster, so every script may touch all of its keys.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

#: SET of every queue's name; in a slot of its own. Added to before a process's first enqueue, never removed from.
QUEUES: Final = "ferryman:queues"

#: The member of `waiting` that stands for "the first of `priority`". No task id can be equal to it.
MARKER: Final = "*"


class Keys:
    """Builds the keys of one queue."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._prefix = f"ferryman:{{{queue}}}:"

    @cached_property
    def waiting(self) -> str:
        """LIST of ids and markers; new ones at the left, the front is the right end."""
        return self._prefix + "waiting"

    @cached_property
    def handed(self) -> str:
        """LIST of ids and markers between an idle worker's BLMOVE and its fetch; they still count as waiting."""
        return self._prefix + "handed"

    @cached_property
    def handed_seen(self) -> str:
        """HASH id -> when (ms) the recoverer first saw it in `handed`."""
        return self._prefix + "handed-seen"

    @cached_property
    def priority(self) -> str:
        """ZSET of waiting ids that have a priority; score = -priority * 2^32 + sequence."""
        return self._prefix + "priority"

    @cached_property
    def delayed(self) -> str:
        """ZSET of ids; score = when to run (epoch ms)."""
        return self._prefix + "delayed"

    @cached_property
    def dead(self) -> str:
        """ZSET of ids; score = when it died (epoch ms)."""
        return self._prefix + "dead"

    @cached_property
    def completed(self) -> str:
        """ZSET of ids whose status is kept; score = when it completed (epoch ms)."""
        return self._prefix + "completed"

    @cached_property
    def workers(self) -> str:
        """ZSET of worker ids; score = the deadline each promised to beat before (epoch ms); 0 = declared dead."""
        return self._prefix + "workers"

    @cached_property
    def suspected(self) -> str:
        """HASH worker id -> the looks taken at its passed deadline."""
        return self._prefix + "suspected"

    @cached_property
    def slots(self) -> str:
        """HASH container (pod uid and name) -> id of the worker that runs in it."""
        return self._prefix + "slots"

    @cached_property
    def manifest(self) -> str:
        """HASH task name -> JSON: argument schema and settings, published by workers."""
        return self._prefix + "manifest"

    @cached_property
    def stats(self) -> str:
        """HASH of counters, written by the scripts that move tasks."""
        return self._prefix + "stats"

    @cached_property
    def config(self) -> str:
        """HASH: protocol number, policy, hold, and the claim of the TaskQueue that owns the queue."""
        return self._prefix + "config"

    @cached_property
    def task(self) -> str:
        """Prefix of the HASH per task; scripts append the id."""
        return self._prefix + "task:"

    @cached_property
    def unique(self) -> str:
        """Prefix of the STRING per unique key, holding its owner's id; scripts append the key."""
        return self._prefix + "unique:"

    @cached_property
    def active_prefix(self) -> str:
        """Prefix of the LIST per worker; read-only scripts that look at all workers append the id."""
        return self._prefix + "active:"

    @cached_property
    def worker_prefix(self) -> str:
        """Prefix of the HASH per worker; read-only scripts that look at all workers append the id."""
        return self._prefix + "worker:"

    def active(self, worker: str) -> str:
        """LIST of the ids that this worker holds; newest at the left."""
        return self.active_prefix + worker

    def worker(self, worker: str) -> str:
        """HASH of what is known of a worker: timeout, pod, drain and vouch leases, hint."""
        return self.worker_prefix + worker
