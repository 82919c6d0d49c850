"""Reading TaskQueues: defaults, durations, and what is refused with the field's path."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_operator.policy import policy_fields
from ferryman_operator.spec import DeletionPolicy, RedisRef, ScalingMode, SpecError, StopPolicy, TaskQueueSpec

from ferryman.policy import Policy as LibraryPolicy

MINIMAL: dict[str, Any] = {
    "redis": {"url": "redis://r:6379/0"},
    "worker": {"image": "acme:1", "app": "acme.tasks"},
}


def body(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"namespace": "ns", "name": "emails", "uid": "u1", "generation": 3}, "spec": spec}


def read(**spec: Any) -> TaskQueueSpec:
    return TaskQueueSpec.from_body(body(MINIMAL | spec))


def test_everything_but_redis_and_worker_has_a_default() -> None:
    spec = read()
    assert (spec.queue, spec.generation, spec.stop_policy) == ("emails", 3, StopPolicy.NONE)
    assert spec.redis == RedisRef(url="redis://r:6379/0")
    assert (spec.worker.concurrency, spec.worker.task_timeout_s) == (10, None)
    assert (spec.scaling.mode, spec.scaling.min_replicas, spec.scaling.max_replicas) == (ScalingMode.OPERATOR, 0, 10)
    assert (spec.scaling.target_latency_s, spec.scaling.cooldown_s) == (5.0, 60.0)
    assert spec.recovery_schedule == "* * * * *"


def test_the_defaults_of_a_taskqueue_are_those_of_the_library() -> None:
    written = {name: str(value) for name, value in policy_fields(read().policy).items()}
    assert LibraryPolicy.from_config(written) == LibraryPolicy()


def test_every_policy_reaches_redis() -> None:
    spec = read(
        worker=MINIMAL["worker"] | {"taskTimeout": "5m"},
        retries={"maxAttempts": 7, "backoff": {"initial": "500ms", "factor": 3, "max": "1h", "jitter": False}},
        crashes={"max": 9, "workerTimeout": "1m30s"},
        retention={"completed": "2h", "completedMax": 5, "dead": "30d"},
        limits={"rate": "100/s", "perLane": {"concurrency": 2, "rate": "5/30s"}},
    )
    assert policy_fields(spec.policy) == {
        "max_attempts": 7,
        "backoff_initial_ms": 500,
        "backoff_factor": 3,
        "backoff_max_ms": 3_600_000,
        "backoff_jitter": 0,
        "crashes_max": 9,
        "worker_timeout_ms": 90_000,
        "task_timeout_ms": 300_000,
        "completed_ms": 7_200_000,
        "completed_max": 5,
        "dead_ms": 2_592_000_000,
        "rate_count": 100,
        "rate_ms": 1_000,
        "lane_concurrency": 2,
        "lane_rate_count": 5,
        "lane_rate_ms": 30_000,
    }


def test_what_has_no_default_is_off() -> None:
    spec = read()
    assert spec.deletion_policy is DeletionPolicy.RETAIN
    assert (spec.scaling.added_per_minute, spec.scaling.removed_per_minute) == (None, None)
    assert (spec.worker.env, spec.worker.env_from) == ((), ())
    limited = read(scaling={"maxAddedPerMinute": 5, "maxRemovedPerMinute": 2}, deletionPolicy="Purge")
    assert (limited.scaling.added_per_minute, limited.scaling.removed_per_minute) == (5, 2)
    assert limited.deletion_policy is DeletionPolicy.PURGE


def test_a_secret_holds_the_url_under_url_unless_told_otherwise() -> None:
    assert read(redis={"secretRef": {"name": "s"}}).redis == RedisRef(secret="s", key="url")
    assert read(redis={"secretRef": {"name": "s", "key": "k"}}).redis == RedisRef(secret="s", key="k")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"redis": {}}, "spec.redis"),
        ({"redis": {"url": "redis://r", "secretRef": {"name": "s"}}}, "spec.redis"),
        ({"worker": {"app": "a"}}, "spec.worker.image"),
        ({"worker": {"image": "i", "app": " "}}, "spec.worker.app"),
        ({"worker": {"image": "i", "app": "a", "concurrency": 0}}, "spec.worker.concurrency"),
        ({"worker": {"image": "i", "app": "a", "taskTimeout": "0s"}}, "spec.worker.taskTimeout"),
        ({"scaling": {"minReplicas": 5, "maxReplicas": 2}}, "spec.scaling.minReplicas"),
        ({"scaling": {"cooldown": "5x"}}, "spec.scaling.cooldown"),
        ({"scaling": {"targetLatency": "0s"}}, "spec.scaling.targetLatency"),
        ({"retries": {"backoff": {"max": "soon"}}}, "spec.retries.backoff.max"),
        ({"retention": {"dead": "0s"}}, "spec.retention.dead"),
        ({"scaling": "large"}, "spec.scaling"),
        ({"scaling": {"maxAddedPerMinute": 0}}, "spec.scaling.maxAddedPerMinute"),
        ({"scaling": {"maxRemovedPerMinute": "2"}}, "spec.scaling.maxRemovedPerMinute"),
        ({"worker": {"image": "i", "app": "a", "env": {"A": "1"}}}, "spec.worker.env"),
        ({"worker": {"image": "i", "app": "a", "envFrom": ["secret"]}}, "spec.worker.envFrom"),
        ({"limits": {"rate": "fast"}}, "spec.limits.rate"),
        ({"limits": {"rate": "10001/s"}}, "spec.limits.rate"),
        ({"limits": {"perLane": {"rate": "0/s"}}}, "spec.limits.perLane.rate"),
        ({"limits": {"perLane": {"concurrency": 0}}}, "spec.limits.perLane.concurrency"),
    ],
)
def test_a_bad_spec_is_refused_with_its_field(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match=f"^{field}: ") as caught:
        read(**spec)
    assert caught.value.field == field
