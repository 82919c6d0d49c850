"""What the operator writes into a queue's `config` hash, from the TaskQueue, and whether the workers follow it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final, Protocol

from ferryman.durations import duration_ms
from ferryman_operator.spec import Policy


def policy_fields(policy: Policy) -> dict[str, str | int]:
    """Fields of ferryman.policy.Policy; times in milliseconds, 0 for a task timeout that is not set."""
    return {
        "max_attempts": policy.max_attempts,
        "backoff_initial_ms": duration_ms(policy.backoff_initial_s),
        "backoff_factor": policy.backoff_factor,
        "backoff_max_ms": duration_ms(policy.backoff_max_s),
        "backoff_jitter": int(policy.backoff_jitter),
        "crashes_max": policy.crashes_max,
        "worker_timeout_ms": duration_ms(policy.worker_timeout_s),
        "task_timeout_ms": duration_ms(policy.task_timeout_s or 0),
        "completed_ms": duration_ms(policy.completed_s),
        "completed_max": policy.completed_max,
        "dead_ms": duration_ms(policy.dead_s),
        **_NO_LIMITS,
        **policy.limits.policy_fields(),
    }


#: A limit that is taken out of the object is taken out of Redis.
_NO_LIMITS: Final = {"rate_count": 0, "rate_ms": 0, "lane_concurrency": 0, "lane_rate_count": 0, "lane_rate_ms": 0}


class Worker(Protocol):
    """What is needed of a registered worker (ferryman.workers.WorkerRow)."""

    @property
    def id(self) -> str:
        """`<pod uid>.<container>.<nonce>`."""

    @property
    def deadline_ms(self) -> int:
        """When it must have beaten again, on Redis' clock."""


def behind(deadlines_ms: Mapping[str, int], workers: Iterable[Worker], now_ms: int, gone: Collection[str]) -> list[str]:
    """The workers that have not beaten since `deadlines_ms` was noted, after the policy was written.

    Each beat moves a worker's deadline and tells it of a new policy, which it then reads. Whoever joined since has read
    it, and the dead need not: those past their deadline, and those in `gone`, whose end is known.
    """
    return [
        worker.id
        for worker in workers
        if deadlines_ms.get(worker.id) == worker.deadline_ms and worker.deadline_ms > now_ms and worker.id not in gone
    ]
