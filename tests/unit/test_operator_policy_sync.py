"""PolicySynced: the policy is in Redis, and every worker has beaten, and so read it, since."""

from __future__ import annotations

from dataclasses import dataclass

from ferryman_bench.operator_scene import WORKER, Scene
from ferryman_operator.policy import behind

from ferryman.link import Link
from ferryman.workers import WorkerRegistry


@dataclass(frozen=True)
class Worker:
    id: str
    deadline_ms: int


NOW_MS = 1_000


def test_whoever_has_not_beaten_since_is_behind() -> None:
    noted = {"beaten": 1_100, "silent": 1_200, "dead": 900, "known to be gone": 1_300}
    workers = [
        Worker("beaten", 1_101),
        Worker("silent", 1_200),
        Worker("dead", 900),
        Worker("known to be gone", 1_300),
        Worker("joined since", 1_200),
    ]
    assert behind(noted, workers, NOW_MS, {"known to be gone"}) == ["silent"]


async def test_without_workers_the_policy_is_synced_when_it_is_written(fake_link: Link) -> None:
    scene = Scene(fake_link)
    await scene.turn()
    assert scene.condition("PolicySynced") == "True Synced"


async def test_a_change_is_synced_when_the_workers_have_read_it(fake_link: Link) -> None:
    scene = Scene(fake_link)
    await scene.worker()
    await scene.turn()
    await scene.link.run(WorkerRegistry("q").beat(WORKER, 15_001))
    await scene.turn()
    scene.change(retries={"maxAttempts": 9})
    await scene.turn()
    assert (await scene.policy()).max_attempts == 9
    assert scene.condition("PolicySynced") == "False WorkersReading"
    assert scene.condition("Ready") != "False WorkersReading", "the queue works on"
    await scene.turn()
    assert scene.condition("PolicySynced") == "False WorkersReading"
    await scene.link.run(WorkerRegistry("q").beat(WORKER, 15_002))
    await scene.turn()
    assert scene.condition("PolicySynced") == "True Synced"
    await scene.link.run(WorkerRegistry("q").hint_gone(WORKER, "OOMKilled", False))
    await scene.turn()
    assert scene.condition("PolicySynced") == "True Synced"


async def test_a_worker_that_leaves_holds_nothing_up(fake_link: Link) -> None:
    scene = Scene(fake_link)
    await scene.worker()
    await scene.turn()
    assert scene.condition("PolicySynced") == "False WorkersReading"
    await scene.link.run(WorkerRegistry("q").unregister(WORKER))
    await scene.turn()
    assert scene.condition("PolicySynced") == "True Synced"
