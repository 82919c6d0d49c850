"""What the operator writes into a queue's `config` hash, from the TaskQueue."""

from __future__ import annotations

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
    }
