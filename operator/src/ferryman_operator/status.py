"""Status of a TaskQueue: what is reported, and whether it is worth a write. Pure.

Replicas and conditions are written at once. Figures that change all the time are written with them, and else only
every ten seconds: a busy queue must not be a load on the API server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ferryman_operator import names
from ferryman_operator.autoscaler import Decision
from ferryman_operator.backlog import Reading
from ferryman_operator.conditions import Condition, merged

#: How often live figures are written at most.
LIVE_EVERY_S: Final = 10.0


def timestamp(now: datetime) -> str:
    """A time as Kubernetes writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build(
    old: Mapping[str, Any],
    *,
    name: str,
    generation: int,
    deployment: Mapping[str, Any] | None,
    reading: Reading | None,
    decision: Decision | None,
    scaled: bool,
    found: list[Condition],
    now: datetime,
) -> dict[str, Any]:
    """The whole status. What was not measured in this pass stays as it was."""
    live = (deployment or {}).get("status") or {}
    scaling = dict(old.get("scaling") or {})
    if decision is not None:
        scaling |= {"wanted": decision.wanted, "reason": decision.reason.value, "message": decision.message}
    if scaled:
        scaling["lastScaleTime"] = timestamp(now)
    return {
        "observedGeneration": generation,
        "replicas": live.get("replicas", 0),
        "readyReplicas": live.get("readyReplicas", 0),
        "selector": names.worker_selector(name),
        "tasks": _tasks(reading) if reading else old.get("tasks") or {},
        "scaling": scaling,
        "conditions": merged(old.get("conditions") or [], found, timestamp(now)),
    }


def patch(
    old: Mapping[str, Any], new: Mapping[str, Any], *, since_last_s: float, every_s: float = LIVE_EVERY_S
) -> dict[str, Any] | None:
    """The merge patch that makes `old` into `new`, or None when it is not worth a write yet."""
    if _urgent(old) == _urgent(new) and since_last_s < every_s:
        return None
    changed = {field: value for field, value in new.items() if old.get(field) != value}
    if "tasks" in changed and "oldestSince" in (old.get("tasks") or {}) and "oldestSince" not in changed["tasks"]:
        changed["tasks"] = {**changed["tasks"], "oldestSince": None}  # in a merge patch, only null removes
    return changed or None


def _tasks(reading: Reading) -> dict[str, Any]:
    stats = reading.stats
    # By Redis' clock alone: with two clocks it would be another second at each look, and a write for it.
    since_s = round(stats.now_ms - stats.oldest_waiting_s * 1000) / 1000
    tasks: dict[str, Any] = {
        "waiting": stats.waiting,
        "active": stats.active,
        "delayed": stats.delayed,
        "blocked": stats.blocked,
        "dead": stats.dead,
    }
    if stats.waiting:
        tasks["oldestSince"] = timestamp(datetime.fromtimestamp(since_s, UTC))
    return tasks


def _urgent(status: Mapping[str, Any]) -> dict[str, Any]:
    """What must be reported at once."""
    scaling = status.get("scaling") or {}
    return {
        "counts": [status.get(field) for field in ("observedGeneration", "replicas", "readyReplicas", "selector")],
        "scaling": [scaling.get(field) for field in ("wanted", "reason", "lastScaleTime")],
        "conditions": [
            [condition.get(field) for field in ("type", "status", "reason", "observedGeneration")]
            for condition in status.get("conditions") or ()
        ],
    }
