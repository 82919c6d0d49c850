"""Conditions of a TaskQueue, in Kubernetes' own form: what is so, why in a word, and why in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferryman.durability import Durability
from ferryman_operator.autoscaler import Decision, Reason
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.pause import Pause
from ferryman_operator.spec import StopPolicy

Condition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Findings:
    """What one pass found out about a TaskQueue."""

    generation: int
    invalid: str = ""  # what is wrong with the spec
    unmeasured: Unmeasured | None = None
    durability: Durability | None = None  # None when Redis has not been asked, or does not answer
    claimed_by: str = ""  # the other TaskQueue that owns the queue
    refusal: tuple[str, str] | None = None  # reason and message of what the API server refused
    policy_written: bool = False
    policy_behind: int = 0  # workers that may not have read it yet
    decision: Decision | None = None
    awaits: str = ""  # what scaling down is waiting for
    stop_policy: StopPolicy = StopPolicy.NONE
    on_hold: bool = False
    held_by_spec: bool = False  # the hold came from an earlier stopPolicy
    pause: Pause = field(default_factory=Pause)
    ready_workers: int = 0
    trouble: str = ""  # why workers do not start
    schedules: bool = True  # whether the scheduler is ready
    discord: tuple[str, str] | None = None  # reason and message: who speaks a protocol too far from the others'
    protocol: int = 0  # that the queue's data is in; 0 = not measured, or nobody has come yet


def conditions(found: Findings) -> list[Condition]:
    """All conditions, without their times."""
    parts = [
        _spec_valid(found),
        _broker_reachable(found),
        _redis_durable(found),
        _policy_synced(found),
        _scaling_active(found),
        _paused(found),
        _protocol_agreed(found),
    ]
    return [_ready(found, parts), *parts]


def merged(old: Sequence[Mapping[str, Any]], new: Sequence[Condition], now: str) -> list[Condition]:
    """`new` with the time of the last change of status; conditions of others stay as they are."""
    known = {condition["type"]: condition for condition in old}
    result = []
    for condition in new:
        before = known.pop(condition["type"], None)
        same = before is not None and before.get("status") == condition["status"]
        since = before["lastTransitionTime"] if before is not None and same else now
        result.append({**condition, "lastTransitionTime": since})
    return [*result, *(dict(condition) for condition in known.values())]


def _ready(found: Findings, parts: Sequence[Condition]) -> Condition:
    spec_valid, broker, durable, policy, *_ = parts
    if spec_valid["status"] == "False":
        return condition(found.generation, "Ready", "False", spec_valid["reason"], spec_valid["message"])
    if found.claimed_by:
        message = (
            f"the queue belongs to TaskQueue {found.claimed_by}; choose another name or another Redis, "
            "or wait some seconds if that one was just deleted"
        )
        return condition(found.generation, "Ready", "False", "QueueClaimed", message)
    if broker["status"] != "True":
        return condition(found.generation, "Ready", "False", broker["reason"], broker["message"])
    if found.durability and found.durability.evicts:
        # It is refused, but its workers run on: to stop them would only make it reach its maxmemory sooner.
        return condition(found.generation, "Ready", "False", "RedisEvicts", durable["message"])
    if found.refusal:
        return condition(found.generation, "Ready", "False", *found.refusal)
    if not found.policy_written:
        return condition(found.generation, "Ready", "False", policy["reason"], policy["message"])
    if not found.schedules:
        message = "the scheduler is not ready: delayed tasks are not promoted, and only the CronJob recovers"
        return condition(found.generation, "Ready", "False", "SchedulerNotReady", message)
    wanted = found.decision.wanted if found.decision else 0
    if found.trouble and wanted and not found.ready_workers:
        return condition(found.generation, "Ready", "False", "WorkersFailing", found.trouble)
    message = f"{found.ready_workers} of {wanted} workers ready" if wanted else "no workers are needed"
    return condition(found.generation, "Ready", "True", "Ready", message)


def _spec_valid(found: Findings) -> Condition:
    if found.invalid:
        return condition(found.generation, "SpecValid", "False", "InvalidSpec", found.invalid)
    return condition(found.generation, "SpecValid", "True", "Valid", "the spec can be used")


def _broker_reachable(found: Findings) -> Condition:
    if found.invalid and found.unmeasured is None and found.decision is None:
        return condition(found.generation, "BrokerReachable", "Unknown", "NotTried", "the spec cannot be used")
    if found.unmeasured is None:
        return condition(found.generation, "BrokerReachable", "True", "Reachable", "Redis answers")
    # Where Redis is not even known, nothing can be said of it.
    status = "Unknown" if found.unmeasured.reason.startswith("Secret") else "False"
    return condition(found.generation, "BrokerReachable", status, found.unmeasured.reason, found.unmeasured.message)


def _redis_durable(found: Findings) -> Condition:
    if found.durability is None:
        return condition(
            found.generation, "RedisDurable", "Unknown", "NotAsked", "Redis was not reached; see BrokerReachable"
        )
    status = {True: "True", False: "False", None: "Unknown"}[found.durability.durable]
    return condition(found.generation, "RedisDurable", status, found.durability.reason, found.durability.message)


def _policy_synced(found: Findings) -> Condition:
    if found.policy_written and found.policy_behind:
        message = f"Redis has the policy of this generation; {found.policy_behind} workers have yet to read it"
        return condition(found.generation, "PolicySynced", "False", "WorkersReading", message)
    if found.policy_written:
        message = "Redis has the policy of this generation, and all workers have read it"
        return condition(found.generation, "PolicySynced", "True", "Synced", message)
    return condition(
        found.generation, "PolicySynced", "False", "NotWritten", "the policy of this generation is not in Redis yet"
    )


def _scaling_active(found: Findings) -> Condition:
    if found.decision is None:
        return condition(found.generation, "ScalingActive", "False", "NotReady", "see the condition Ready")
    if found.decision.reason in (Reason.NO_MEASUREMENT, Reason.HOLD):
        return condition(
            found.generation, "ScalingActive", "False", found.decision.reason.value, found.decision.message
        )
    if found.pause.complete:
        return condition(found.generation, "ScalingActive", "False", "ScalingPaused", found.pause.sentence)
    if found.awaits:
        return condition(found.generation, "ScalingActive", "True", "Draining", f"waiting for {found.awaits}")
    if found.decision.reason is Reason.EXTERNAL:
        message = "the number of workers follows spec.replicas"
        return condition(found.generation, "ScalingActive", "True", "External", message)
    return condition(found.generation, "ScalingActive", "True", "Measuring", "the number of workers follows the demand")


def _paused(found: Findings) -> Condition:
    if found.stop_policy is not StopPolicy.NONE:
        return condition(
            found.generation, "Paused", "True", "StopPolicy", f"spec.stopPolicy is {found.stop_policy.value}"
        )
    if found.on_hold and found.held_by_spec:
        # It stays the spec's until it has ended, or nobody would end it when the order to Redis got lost.
        return condition(
            found.generation, "Paused", "True", "StopPolicy", "spec.stopPolicy is None again; the hold ends"
        )
    if found.on_hold:
        return condition(
            found.generation, "Paused", "True", "HeldByHand", "the queue was put on hold; ferryman resume lets it go on"
        )
    if found.pause.sentence:
        return condition(
            found.generation, "Paused", "True", "ScalingPaused", f"{found.pause.sentence}; tasks are handed out"
        )
    return condition(found.generation, "Paused", "False", "Running", "tasks are handed out")


def _protocol_agreed(found: Findings) -> Condition:
    if found.discord:
        return condition(found.generation, "ProtocolAgreed", "False", *found.discord)
    if found.decision is None:
        return condition(found.generation, "ProtocolAgreed", "Unknown", "NotKnown", "the queue was not measured")
    message = f"the queue speaks protocol {found.protocol}, and all who work on it understand that"
    if not found.protocol:
        message = "nobody has come yet whose protocol could differ"
    return condition(found.generation, "ProtocolAgreed", "True", "Agreed", message)


def condition(generation: int, name: str, status: str, reason: str, message: str) -> Condition:
    """One condition, without its time; the API server takes no longer message."""
    return {
        "type": name,
        "status": status,
        "reason": reason,
        "message": message[:32768],
        "observedGeneration": generation,
    }


def condition_of(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The condition that a status reports, or {}."""
    return next((one for one in status.get("conditions") or () if one["type"] == name), {})
