"""What a TaskQueue asks for, read from its object.

The CRD's schema has rejected most nonsense at `kubectl apply`. What it cannot see, or what an older schema let
through, raises SpecError here and becomes the condition SpecValid=False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ferryman.durations import parse_duration
from ferryman.limits import MOST_CONCURRENCY, Limits, Rate


class SpecError(ValueError):
    """The spec can't be used. `field` is its path in the object, and the message says what is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class StopPolicy(StrEnum):
    """Kueue's words for stopping a queue."""

    NONE = "None"  # runs
    HOLD = "Hold"  # workers finish what they have and take nothing new
    HOLD_AND_DRAIN = "HoldAndDrain"  # the same, and workers that have finished are removed


class DeletionPolicy(StrEnum):
    """What becomes of the tasks in Redis when the object is deleted."""

    RETAIN = "Retain"  # they stay, for a successor of the same name
    PURGE = "Purge"  # they are discarded before the object goes


class ScalingMode(StrEnum):
    """Who decides on the number of workers."""

    OPERATOR = "Operator"  # this operator, by demand
    EXTERNAL = "External"  # whoever writes the scale subresource: an HPA, KEDA, a person


@dataclass(frozen=True, slots=True)
class RedisRef:
    """Where the queue's Redis is: a URL, or the key of a Secret that holds one."""

    url: str | None = None
    secret: str | None = None
    key: str = "url"


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """The worker pods. `task_timeout_s` is None for no limit."""

    image: str
    app: str
    concurrency: int
    task_timeout_s: float | None
    env: Sequence[Mapping[str, Any]]
    env_from: Sequence[Mapping[str, Any]]
    resources: Mapping[str, Any]
    template: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scaling:
    """Bounds and aims of the number of workers. `replicas` is the wish of mode External; None is no limit."""

    mode: ScalingMode
    min_replicas: int
    max_replicas: int
    target_latency_s: float
    cooldown_s: float
    replicas: int | None
    added_per_minute: int | None = None
    removed_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What workers, scheduler and producers read from the queue's `config` hash."""

    max_attempts: int
    backoff_initial_s: float
    backoff_factor: int
    backoff_max_s: float
    backoff_jitter: bool
    crashes_max: int
    worker_timeout_s: float
    task_timeout_s: float | None
    completed_s: float
    completed_max: int
    dead_s: float
    limits: Limits


@dataclass(frozen=True, slots=True)
class TaskQueueSpec:
    """One TaskQueue: who it is and what it asks for."""

    namespace: str
    name: str
    uid: str
    generation: int
    queue: str
    redis: RedisRef
    stop_policy: StopPolicy
    deletion_policy: DeletionPolicy
    worker: WorkerSpec
    scaling: Scaling
    policy: Policy
    recovery_schedule: str

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> TaskQueueSpec:
        """Read the object. Raises SpecError naming the field."""
        metadata, spec = body["metadata"], body.get("spec") or {}
        worker = _worker(_section(spec, "spec", "worker"))
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=int(metadata.get("generation", 0)),
            queue=spec.get("queue") or metadata["name"],
            redis=_redis(_section(spec, "spec", "redis")),
            stop_policy=StopPolicy(spec.get("stopPolicy", StopPolicy.NONE)),
            deletion_policy=DeletionPolicy(spec.get("deletionPolicy", DeletionPolicy.RETAIN)),
            worker=worker,
            scaling=_scaling(_section(spec, "spec", "scaling"), spec.get("replicas")),
            policy=_policy(spec, worker.task_timeout_s),
            recovery_schedule=_section(spec, "spec", "recovery").get("schedule", "* * * * *"),
        )


def _worker(worker: Mapping[str, Any]) -> WorkerSpec:
    for field in ("image", "app"):
        if not str(worker.get(field, "")).strip():
            raise SpecError(f"spec.worker.{field}", "is required")
    timeout = None
    if "taskTimeout" in worker:
        timeout = _duration(worker, "spec.worker", "taskTimeout", "", above_zero=True)
    return WorkerSpec(
        image=worker["image"],
        app=worker["app"],
        concurrency=_whole(worker, "spec.worker", "concurrency", default=10, least=1),
        task_timeout_s=timeout,
        env=_list(worker, "spec.worker", "env"),
        env_from=_list(worker, "spec.worker", "envFrom"),
        resources=_section(worker, "spec.worker", "resources"),
        template=_section(worker, "spec.worker", "template"),
    )


def _scaling(scaling: Mapping[str, Any], replicas: int | None) -> Scaling:
    at = "spec.scaling"
    least = _whole(scaling, at, "minReplicas", default=0, least=0)
    most = _whole(scaling, at, "maxReplicas", default=10, least=1)
    if least > most:
        raise SpecError(f"{at}.minReplicas", f"{least} is above {at}.maxReplicas, {most}")
    return Scaling(
        mode=ScalingMode(scaling.get("mode", ScalingMode.OPERATOR)),
        min_replicas=least,
        max_replicas=most,
        target_latency_s=_duration(scaling, at, "targetLatency", "5s", above_zero=True),
        cooldown_s=_duration(scaling, at, "cooldown", "60s"),
        replicas=replicas,
        added_per_minute=_limit(scaling, at, "maxAddedPerMinute"),
        removed_per_minute=_limit(scaling, at, "maxRemovedPerMinute"),
    )


def _policy(spec: Mapping[str, Any], task_timeout_s: float | None) -> Policy:
    retries, crashes, retention = (_section(spec, "spec", name) for name in ("retries", "crashes", "retention"))
    backoff = _section(retries, "spec.retries", "backoff")
    return Policy(
        max_attempts=_whole(retries, "spec.retries", "maxAttempts", default=5, least=1),
        backoff_initial_s=_duration(backoff, "spec.retries.backoff", "initial", "1s"),
        backoff_factor=_whole(backoff, "spec.retries.backoff", "factor", default=2, least=1),
        backoff_max_s=_duration(backoff, "spec.retries.backoff", "max", "10m"),
        backoff_jitter=bool(backoff.get("jitter", True)),
        crashes_max=_whole(crashes, "spec.crashes", "max", default=3, least=1),
        worker_timeout_s=_duration(crashes, "spec.crashes", "workerTimeout", "15s", above_zero=True),
        task_timeout_s=task_timeout_s,
        completed_s=_duration(retention, "spec.retention", "completed", "1h"),
        completed_max=_whole(retention, "spec.retention", "completedMax", default=10000, least=0),
        dead_s=_duration(retention, "spec.retention", "dead", "30d", above_zero=True),
        limits=_limits(_section(spec, "spec", "limits")),
    )


def _limits(limits: Mapping[str, Any]) -> Limits:
    at = "spec.limits"
    lane = _section(limits, at, "perLane")
    most = None
    if "concurrency" in lane:
        most = _whole(lane, f"{at}.perLane", "concurrency", default=0, least=1)
        if most > MOST_CONCURRENCY:
            raise SpecError(f"{at}.perLane.concurrency", f"{most} is above {MOST_CONCURRENCY}")
    return Limits(_rate(limits, at), most, _rate(lane, f"{at}.perLane"))


def _rate(section: Mapping[str, Any], at: str) -> str | None:
    if (text := section.get("rate")) is None:
        return None
    try:
        Rate.parse(text)
    except ValueError as error:
        raise SpecError(f"{at}.rate", str(error)) from None
    return str(text)


def _redis(redis: Mapping[str, Any]) -> RedisRef:
    url, secret = redis.get("url"), redis.get("secretRef")
    if (url is None) == (secret is None):
        raise SpecError("spec.redis", "set exactly one of url and secretRef")
    if secret is None:
        return RedisRef(url=url)
    return RedisRef(secret=secret["name"], key=secret.get("key") or "url")


def _section(parent: Mapping[str, Any], at: str, name: str) -> Mapping[str, Any]:
    section = parent.get(name)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise SpecError(f"{at}.{name}", "must be an object")
    return section


def _list(parent: Mapping[str, Any], at: str, name: str) -> Sequence[Mapping[str, Any]]:
    items = parent.get(name) or ()
    if not isinstance(items, list | tuple) or not all(isinstance(item, Mapping) for item in items):
        raise SpecError(f"{at}.{name}", "must be a list of objects")
    return tuple(items)


def _limit(section: Mapping[str, Any], at: str, name: str) -> int | None:
    return None if section.get(name) is None else _whole(section, at, name, default=1, least=1)


def _whole(section: Mapping[str, Any], at: str, name: str, *, default: int, least: int) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or value < least:
        raise SpecError(f"{at}.{name}", f"{value!r} is not a whole number of {least} or more")
    return value


def _duration(section: Mapping[str, Any], at: str, name: str, default: str, *, above_zero: bool = False) -> float:
    try:
        value = parse_duration(str(section.get(name, default)))
    except ValueError as error:
        raise SpecError(f"{at}.{name}", str(error)) from error
    if above_zero and value == 0:
        raise SpecError(f"{at}.{name}", "must be above 0s")
    return value
