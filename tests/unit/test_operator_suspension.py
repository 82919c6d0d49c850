"""The recovery CronJobs of a group that shares a Redis: one runs for all, and rests only while nothing runs at all."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench.operator_scene import WORKER, Scene
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.cluster import Invalid
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind

from ferryman.broker import Broker
from ferryman.link import Link
from ferryman.task import TaskState
from ferryman.workers import WorkerRegistry


class Group(Scene):
    """Two TaskQueues with one Redis, `a` and `q`."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        spec = self.tracked.body["spec"]
        metadata = {"namespace": "ns", "name": "a", "uid": "uid-a"}
        self.first = Tracked.of(self.cluster.add({"kind": "TaskQueue", "metadata": metadata, "spec": spec}))

    async def turn(self, link: Link | Unmeasured | None = None) -> None:
        await self.redis_pass.run(link or self.link, [self.tracked, self.first])

    def schedules(self) -> dict[str, list[str]]:
        """The CronJobs that run on schedule, and the queues over which each passes."""
        found = {}
        for (kind, name), body in self.cluster.objects.items():
            if kind is Kind.CRON_JOB and not body["spec"]["suspend"]:
                pod = body["spec"]["jobTemplate"]["spec"]["template"]["spec"]
                found[name] = pod["containers"][0]["args"][1:]
        return found


@pytest.fixture
async def group(fake_link: Link) -> Group:
    group = Group(fake_link)
    await group.turn()
    return group


async def test_all_rest_while_nothing_runs(group: Group) -> None:
    assert group.schedules() == {}


async def test_one_runs_for_all_as_soon_as_one_queue_has_workers(group: Group) -> None:
    await group.post(1)  # into q
    await group.turn()
    assert group.schedules() == {"a-recovery": ["a", "q"]}


async def test_it_runs_on_while_a_worker_is_registered(group: Group) -> None:
    """Replicas may be zero already; whoever still holds a task may die with it."""
    await group.worker()
    await group.turn()
    assert group.replicas() == 0
    assert group.schedules() == {"a-recovery": ["a", "q"]}
    await group.link.run(WorkerRegistry("q").unregister(WORKER))
    await group.turn()
    assert group.schedules() == {}


async def test_it_runs_on_while_a_task_is_held_by_a_worker_that_is_silent(group: Group) -> None:
    await group.worker()
    await group.post(1)
    await group.link.run(Broker("q").fetch(WORKER, 1))
    await group.link.client.zadd(WorkerRegistry("q").keys.workers, {WORKER: 1})
    await group.turn()
    assert group.schedules() == {"a-recovery": ["a", "q"]}


async def test_while_nothing_is_known_it_goes_on_as_it_was(group: Group) -> None:
    gone = Unmeasured("Timeout", "no answer")
    await group.turn(gone)
    assert group.schedules() == {}
    await group.worker()
    await group.turn()
    await group.turn(gone)
    assert group.schedules() == {"a-recovery": ["a", "q"]}


async def test_a_rejected_schedule_of_one_queue_does_not_cost_the_others_their_recovery(group: Group) -> None:
    class Picky(type(group.cluster)):  # type: ignore[misc]
        async def apply(self, kind: Kind, body: Any) -> Any:
            if body["metadata"]["name"] == "a-recovery":
                raise Invalid(422, "spec.schedule: Invalid value")
            return await super().apply(kind, body)

    group.cluster.__class__ = Picky
    await group.post(1)
    for _ in range(2):
        await group.turn()
    assert group.schedules() == {"q-recovery": ["a", "q"]}
    assert group.replicas() == 1
    await group.link.run(Broker("q").discard(TaskState.WAITING))


async def test_a_taskqueue_that_goes_leaves_the_recovery_to_the_next(group: Group) -> None:
    await group.post(1)
    await group.turn()
    group.delete(Kind.CRON_JOB, "a-recovery")
    await group.redis_pass.run(group.link, [group.tracked])
    assert group.schedules() == {"q-recovery": ["q"]}
