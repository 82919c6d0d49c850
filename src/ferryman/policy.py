"""QueuePolicy: what the TaskQueue object says, kept in the queue's `config` so that every process reads one place.

The operator writes it with the object's generation; a queue without one runs on the built-in defaults below.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ferryman.call import Call, command
from ferryman.keys import Keys
from ferryman.task import check_queue_name


class Policy(msgspec.Struct, frozen=True):
    """A queue's settings; each default is the built-in one."""

    hold: bool = False
    generation: int = 0  # of the TaskQueue that wrote it; 0 = nobody did
    max_attempts: int = 5
    backoff_initial_ms: int = 1_000
    backoff_factor: float = 2.0
    backoff_max_ms: int = 600_000
    backoff_jitter: bool = True
    crashes_max: int = 3  # worker deaths that a task may cause before it goes to dead
    recoveries_max: int = 100  # times a task is taken from dead workers, charged or not, before it goes to dead
    worker_timeout_ms: int = 15_000
    task_timeout_ms: int = 0  # 0 = none
    completed_ms: int = 3_600_000
    completed_max: int = 10_000
    dead_ms: int = 2_592_000_000
    rate_count: int = 0  # starts of all tasks within `rate_ms`; 0 = no limit
    rate_ms: int = 0
    lane_concurrency: int = 0  # tasks of one lane that run at once; 0 = no limit
    lane_rate_count: int = 0  # starts of one lane within `lane_rate_ms`; 0 = no limit
    lane_rate_ms: int = 0
    vouch_max_ms: int = 60_000  # how long past its deadline the operator can vouch for a silent worker

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> Policy:
        """Read the `config` hash; a field that is missing or no number keeps its default."""
        values: dict[str, Any] = {}
        for name, kind in _KINDS.items():
            if name in config:
                with suppress(ValueError, OverflowError):
                    values[name] = kind(float(config[name]))
        return cls(**values)


_KINDS: dict[str, type[bool | int | float]] = {name: type(getattr(Policy(), name)) for name in Policy.__struct_fields__}


class Claim(msgspec.Struct, frozen=True):
    """Which TaskQueue object owns the queue."""

    cluster: str
    namespace: str
    name: str
    uid: str

    @property
    def owner(self) -> str:
        """As it is shown to the other one."""
        return f"{self.cluster}/{self.namespace}/{self.name}"


class ClaimReply(msgspec.Struct, frozen=True):
    """`owner` is who holds the claim now."""

    granted: bool
    owner: str


class QueuePolicy:
    """The policy of one queue. Every method builds a call. Raises InvalidTask when `queue` is no queue name."""

    def __init__(self, queue: str) -> None:
        self.queue = check_queue_name(queue)
        self.keys = Keys(queue)

    def read(self) -> Call[Policy]:
        """The policy as it stands, defaults filled in."""
        return command("HGETALL", self.keys.config, read=_policy)

    def write(self, policy: Mapping[str, str | int], generation: int) -> Call[int]:
        """Set fields of Policy and the generation; fields that are not named stay."""
        unknown = set(policy) - _KINDS.keys()
        if unknown:
            raise ValueError(f"no such policy field: {', '.join(sorted(unknown))}")
        words = [word for name, value in policy.items() for word in (name, value)]
        return Call("set_policy", (self.keys.config,), (*words, "generation", generation), int)

    def hold(self, on: bool) -> Call[int]:
        """Stop, or go on, giving out tasks. Running ones finish; enqueue goes on."""
        return Call("set_policy", (self.keys.config,), ("hold", int(on)), int)

    def claim(self, owner: Claim, lease_ms: int) -> Call[ClaimReply]:
        """Claim the queue, or renew the claim, for `lease_ms`."""
        return Call("claim", (self.keys.config,), (owner.uid, owner.owner, lease_ms), _claimed)

    def release(self, uid: str) -> Call[bool]:
        """Give the claim up; False when another holds it."""
        return Call("claim", (self.keys.config,), (uid, "", 0), lambda reply: bool(reply[0]))


def _policy(reply: Any) -> Policy:
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return Policy.from_config({key.decode(): value.decode() for key, value in pairs})


def _claimed(reply: Any) -> ClaimReply:
    return ClaimReply(bool(reply[0]), reply[1].decode())
