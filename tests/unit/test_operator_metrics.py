"""The operator's figures of a queue: each is what it says, and absent rather than old or made up."""

from __future__ import annotations

from dataclasses import replace

from ferryman_operator import names
from ferryman_operator.autoscaler import Decision, Memory, Reason
from ferryman_operator.backlog import Reading, Unmeasured
from ferryman_operator.metrics import Metrics
from ferryman_operator.spec import RedisRef
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind, World
from prometheus_client.parser import text_string_to_metric_families

from ferryman.durability import judge
from ferryman.inspector import Inspector

URL = "redis://r:6379/0"
STATS = replace(
    Inspector("emails").stats().read([0] * 16),
    waiting=11,
    dead=12,
    oldest_waiting_s=13.5,
    unaccounted=-14,
    workers=15,
    hold=True,
    recovered=16,
    dead_by_crash=17,
    lanes_held_back=27,
)


def queue() -> Tracked:
    metadata = {"uid": "u", "namespace": "shop", "name": "mail", "generation": 1}
    spec = {
        "queue": "emails",
        "redis": {"url": URL},
        "worker": {"image": "acme:1", "app": "acme.tasks"},
        "scaling": {"minReplicas": 1, "maxReplicas": 20, "targetLatency": "21s"},
    }
    return Tracked.of({"metadata": metadata, "spec": spec})


def deployment(name: str, ready: int) -> dict[str, object]:
    return {"metadata": {"uid": name, "namespace": "shop", "name": name}, "status": {"readyReplicas": ready}}


def figures(tracked: Tracked, world: World) -> dict[str, float]:
    """Every figure of the queue, without the prefix; of those by state or event `name/value`."""
    found = {}
    for family in text_string_to_metric_families(Metrics({"u": tracked}, world).text().decode()):
        for name, labels, value, *_ in family.samples:
            if labels.pop("queue", "") == "emails" and labels.pop("queue_namespace") == "shop":
                found["/".join((name.removeprefix("ferryman_"), *labels.values()))] = value
    return found


def test_each_figure_is_what_was_measured_decided_or_asked_for() -> None:
    tracked, world = queue(), World()
    tracked.interrupted = 18
    tracked.reading = Reading(STATS, (), None, 0)
    tracked.decision = Decision(22, Reason.CEILING, "", Memory())
    tracked.durability = judge([{"used_memory": 23, "maxmemory": 24, "maxmemory_policy": "allkeys-lru"}, {}, {}])
    world.put(Kind.DEPLOYMENT, deployment(names.worker_deployment("mail"), 25))
    world.put(Kind.DEPLOYMENT, deployment(names.scheduler_deployment(RedisRef(url=URL)), 26))

    found = figures(tracked, world)

    assert {name: value for name, value in found.items() if "/" not in name} == {
        "scale_down_interrupted_total": 18,
        "queue_oldest_waiting_seconds": 13.5,
        "queue_target_latency_seconds": 21,
        "queue_unaccounted": -14,
        "queue_lanes_blocked": 27,
        "queue_hold": 1,
        "queue_workers": 15,
        "queue_scheduler_ready": 26,
        "queue_broker_reachable": 1,
        "queue_redis_durable": 0,
        "queue_redis_memory_used_bytes": 23,
        "queue_redis_memory_max_bytes": 24,
        "workers_wanted": 22,
        "workers_ready": 25,
        "workers_max": 20,
    }
    assert (found["queue_tasks/waiting"], found["queue_tasks/dead"]) == (11, 12)
    assert (found["queue_events_total/recovered"], found["queue_events_total/dead_by_crash"]) == (16, 17)


def test_of_a_redis_that_does_not_answer_nothing_old_is_told() -> None:
    tracked = queue()
    tracked.reading = Unmeasured("Timeout", "no answer")

    found = figures(tracked, World())

    assert found == {
        "scale_down_interrupted_total": 0,
        "queue_target_latency_seconds": 21,
        "queue_scheduler_ready": 0,
        "queue_broker_reachable": 0,
        "workers_ready": 0,
        "workers_max": 20,
    }


def test_what_is_unaccounted_is_not_told_where_active_was_not_counted() -> None:
    tracked = queue()
    tracked.reading = Reading(replace(STATS, active=28, unaccounted=None), (), None, 0)

    found = figures(tracked, World())

    assert "queue_unaccounted" not in found
    assert found["queue_tasks/active"] == 28


def test_round_trips_are_counted_and_nothing_is_exported_twice() -> None:
    metrics = Metrics({}, World())
    metrics.round_trip(0.0004)
    text = metrics.text().decode()
    assert 'ferryman_redis_round_trip_seconds_bucket{component="operator",le="0.00025"} 0.0' in text
    assert 'ferryman_redis_round_trip_seconds_bucket{component="operator",le="0.0005"} 1.0' in text
    assert "process_resident_memory_bytes " in text
    assert "_created" not in text


def test_a_redis_that_tells_no_memory_has_none() -> None:
    tracked = queue()
    tracked.durability = judge([{"used_memory": "much"}, {}, {}])
    assert not [name for name in figures(tracked, World()) if "memory" in name]


def test_of_a_queue_that_another_owns_nothing_is_told() -> None:
    tracked = queue()
    tracked.reading, tracked.claimed_by = Reading(STATS, (), None, 0), "another/shop/mail"
    assert figures(tracked, World()) == {}
