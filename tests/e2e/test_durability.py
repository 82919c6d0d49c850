"""RedisDurable on the cluster: settings of Redis change at run time, and condition, event and metric follow."""

from collections.abc import Iterator

import pytest
from ferryman_e2e.kubectl import Kubectl
from ferryman_e2e.operator_metrics import OperatorMetrics
from ferryman_e2e.scene_queue import SceneQueue
from ferryman_e2e.waiting import throughout, until

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(600)]  # changes the Redis of all

#: The operator asks each Redis every 30 s.
_SEEN_WITHIN_S = 60


class RedisSettings:
    """Settings of the trial Redis, changed while it runs."""

    def __init__(self, system: Kubectl) -> None:
        self._system = system

    def set(self, name: str, value: str) -> None:
        said = self._cli("CONFIG", "SET", name, value)
        assert said.strip() == "OK", said

    def restore(self) -> None:
        """As the chart sets them, and the append-only file whole again."""
        self.set("maxmemory-policy", "noeviction")
        self.set("appendonly", "yes")
        until("the append-only file is written", self._persistence, _is_at_rest, timeout_s=60)

    def _persistence(self) -> str:
        return self._cli("INFO", "persistence")

    def _cli(self, *words: str) -> str:
        return self._system.run("exec", "ferryman-redis-0", "--", "redis-cli", *words)


def _is_at_rest(info: str) -> bool:
    return "aof_rewrite_in_progress:0" in info and "aof_rewrite_scheduled:0" in info


@pytest.fixture
def redis(installed: Kubectl) -> Iterator[RedisSettings]:
    settings = RedisSettings(installed)
    yield settings
    settings.restore()


def test_a_redis_that_evicts_is_refused_and_its_queue_runs_on(
    queue: SceneQueue, redis: RedisSettings, operator_metrics: OperatorMetrics
) -> None:
    queue.create(scaling={"minReplicas": 0, "maxReplicas": 1})
    queue.wait_ready()
    assert queue.wait_condition("RedisDurable", "True", _SEEN_WITHIN_S)["reason"] == "AppendOnly"
    assert _durable(operator_metrics, queue) == 1.0

    redis.set("maxmemory-policy", "allkeys-lru")
    found = queue.wait_condition("RedisDurable", "False", _SEEN_WITHIN_S)
    assert found["reason"] == "Evicts"
    assert "allkeys-lru" in found["message"]
    ready = queue.wait_condition("Ready", "False", timeout_s=10)
    assert (ready["reason"], ready["message"]) == ("RedisEvicts", found["message"])
    assert _durable(operator_metrics, queue) == 0.0
    until("the warning event", lambda: _events(queue), lambda seen: ("Warning", "RedisEvicts") in seen, timeout_s=10)

    ids = queue.post("echo", {"value": "still here"}, count=5)
    queue.wait_completed(5, timeout_s=90)
    assert {task["state"] for task in queue.records(ids)} == {"completed"}

    redis.set("maxmemory-policy", "noeviction")
    queue.wait_condition("RedisDurable", "True", _SEEN_WITHIN_S)
    queue.wait_condition("Ready", "True", timeout_s=10)
    assert _durable(operator_metrics, queue) == 1.0
    until("the event that it is over", lambda: _events(queue), lambda seen: ("Normal", "Ready") in seen, timeout_s=10)


def test_a_redis_without_a_file_is_told_plainly_and_not_refused(
    queue: SceneQueue, redis: RedisSettings, operator_metrics: OperatorMetrics
) -> None:
    queue.create(scaling={"minReplicas": 0, "maxReplicas": 1})
    queue.wait_ready()
    queue.wait_condition("RedisDurable", "True", _SEEN_WITHIN_S)

    redis.set("appendonly", "no")
    found = queue.wait_condition("RedisDurable", "False", _SEEN_WITHIN_S)
    assert found["reason"] == "NoAppendOnlyFile"
    assert "a restart of Redis loses tasks" in found["message"]
    throughout("Ready", lambda: queue.condition("Ready"), lambda one: one["status"] == "True", for_s=5)
    assert _durable(operator_metrics, queue) == 0.0
    until("the event", lambda: _events(queue), lambda seen: ("Warning", "NoAppendOnlyFile") in seen, timeout_s=10)

    redis.restore()
    queue.wait_condition("RedisDurable", "True", _SEEN_WITHIN_S)
    assert _durable(operator_metrics, queue) == 1.0
    until("it is over", lambda: _events(queue), lambda seen: ("Normal", "RedisDurable") in seen, timeout_s=10)


def _events(queue: SceneQueue) -> set[tuple[str, str]]:
    """Type and reason of the events on the TaskQueue."""
    return {(one["type"], one["reason"]) for one in queue.event_objects()}


def _durable(metrics: OperatorMetrics, queue: SceneQueue) -> float | None:
    """What the operator exports for this queue, or None."""
    return metrics.value("ferryman_queue_redis_durable", queue.name, queue_namespace=queue.kubectl.namespace)
