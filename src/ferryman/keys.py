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

    @property
    def root(self) -> str:
        """Prefix of all keys; the last key of the scripts that end a task or let go of it, whose parts append names."""
        return self._prefix

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
    def blocked(self) -> str:
        """ZSET of ids that wait for something other than time (other tasks, a full lane); score = since (epoch ms)."""
        return self._prefix + "blocked"

    @cached_property
    def lanes(self) -> str:
        """ZSET of lanes with tasks that stand in them or have a place; score = how many stand there."""
        return self._prefix + "lanes"

    @cached_property
    def lane_ready(self) -> str:
        """HASH lane -> how many stand there that only want for workers; stats.ready is their sum."""
        return self._prefix + "lane-ready"

    @cached_property
    def lane_wakes(self) -> str:
        """ZSET of lanes whose rate lets nobody in at present; score = when it does again (epoch ms)."""
        return self._prefix + "lane-wakes"

    def lane(self, name: str) -> str:
        """ZSET of the ids that stand in a lane; score = -priority * 2^32 + turn, the lowest is next."""
        return self._prefix + "lane:" + name

    def places(self, lane: str) -> str:
        """ZSET of the ids that a lane has let on; score 0 = not fetched yet, 1 = running (under a concurrency)."""
        return self._prefix + "places:" + lane

    def starts(self, lane: str) -> str:
        """ZSET of "id token" of the fetches within a rate's period; score = when (epoch ms)."""
        return self._prefix + "starts:" + lane

    def throttle(self, unique: str) -> str:
        """STRING "until (epoch ms) id": the task that a throttled unique key let in last."""
        return self._prefix + "throttle:" + unique

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
    def untold(self) -> str:
        """HASH id of a dead worker -> the task whose evidence does not say yet of what it died, and what it says."""
        return self._prefix + "untold"

    @cached_property
    def slots(self) -> str:
        """HASH container (pod uid and name) -> id of the worker that runs in it."""
        return self._prefix + "slots"

    @cached_property
    def manifest(self) -> str:
        """HASH task name -> JSON: argument schema and settings, published by workers."""
        return self._prefix + "manifest"

    @cached_property
    def versions(self) -> str:
        """HASH of the app's versions, by a digest of their manifests: `<digest>` -> when a worker of it last registered
        (epoch ms), `<digest>:<task name>` -> JSON as in `manifest`."""
        return self._prefix + "versions"

    @cached_property
    def schedules(self) -> str:
        """HASH: `operator` -> JSON of all TaskSchedules, `code:<version>` -> JSON of those in an app's code,
        `code` -> the version that counts."""
        return self._prefix + "schedules"

    @cached_property
    def fired(self) -> str:
        """HASH schedule -> what was fired of it last; see `fire.lua`."""
        return self._prefix + "fired"

    @cached_property
    def stats(self) -> str:
        """HASH of counters, written by the scripts that move tasks."""
        return self._prefix + "stats"

    @cached_property
    def config(self) -> str:
        """HASH: protocol number, policy, hold, and the claim of the TaskQueue that owns the queue."""
        return self._prefix + "config"

    def flow(self, flow: str) -> str:
        """HASH of a workflow: its nodes, how each ended, how many are left; see scripts/parts/workflow.lua."""
        return f"{self._prefix}flow:{flow}"

    @cached_property
    def flow_steps(self) -> str:
        """LIST of what ends of nodes set off and no script had the time for yet."""
        return self._prefix + "flow-steps"

    @cached_property
    def flow_sending(self) -> str:
        """ZSET of workflows that are being sent in several batches; score = when the latest came (epoch ms)."""
        return self._prefix + "flow-sending"

    @cached_property
    def task(self) -> str:
        """Prefix of the HASH per task; scripts append the id."""
        return self._prefix + "task:"

    @cached_property
    def unique(self) -> str:
        """Prefix of the STRING per unique key, holding its owner's id; scripts append the key."""
        return self._prefix + "unique:"

    @cached_property
    def expiring(self) -> str:
        """ZSET of ids that have a deadline and have not ended; score = that deadline (epoch ms)."""
        return self._prefix + "expiring"

    @cached_property
    def result(self) -> str:
        """Prefix of the STRING per kept result, or word of an end; scripts append the id. It goes by itself."""
        return self._prefix + "result:"

    @cached_property
    def awaiting(self) -> str:
        """Prefix of the SET per task whose end is awaited, of those who wait; scripts append the id."""
        return self._prefix + "awaiting:"

    def told(self, waiter: str) -> str:
        """LIST of ids that have ended while this one waited for them; it goes by itself."""
        return f"{self._prefix}told:{waiter}"

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
