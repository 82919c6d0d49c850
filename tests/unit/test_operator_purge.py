"""deletionPolicy Purge: who gets the finalizer, what is discarded, and that nothing hangs for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ferryman_bench.operator_scene import WORKER, Scene
from ferryman_operator import farewell, finalizer, purger
from ferryman_operator.cluster import ClusterError, Forbidden
from ferryman_operator.endpoints import Endpoints
from ferryman_operator.finalizer import FINALIZER
from ferryman_operator.purger import PATIENCE_S, UNKNOWN_S, Purger, Step, ending
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.tracked import Tracked
from ferryman_operator.world import Kind

from ferryman.broker import Broker
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import Link
from ferryman.new_task import NewTask
from ferryman.policy import QueuePolicy
from ferryman.workers import WorkerRegistry

PURGE = {"deletionPolicy": "Purge"}


def finalizers(scene: Scene) -> list[str]:
    found: list[str] = scene.cluster.objects[Kind.TASK_QUEUE, "q"]["metadata"].get("finalizers") or []
    return found


# Who has the finalizer


async def test_only_a_queue_to_purge_has_a_finalizer(fake_link: Link) -> None:
    scene = Scene(fake_link)
    await scene.turn()
    assert finalizers(scene) == []
    scene.change(**PURGE)
    await scene.turn()
    assert finalizers(scene) == [FINALIZER]
    scene.change(deletionPolicy="Retain")
    await scene.turn()
    assert finalizers(scene) == []
    writes = [write for write in scene.cluster.writes if write.startswith("finalizers")]
    assert len(writes) == 2


async def test_the_finalizers_of_others_are_left_alone(fake_link: Link) -> None:
    scene = Scene(fake_link, **PURGE)
    body = scene.cluster.objects[Kind.TASK_QUEUE, "q"]
    scene.tracked.update(
        scene.cluster.add({**body, "metadata": {**body["metadata"], "finalizers": ["example.com/keep"]}})
    )
    await scene.turn()
    assert finalizers(scene) == ["example.com/keep", FINALIZER]
    scene.change(deletionPolicy="Retain")
    await scene.turn()
    assert finalizers(scene) == ["example.com/keep"]


async def test_a_taskqueue_that_was_refused_never_purges_the_tasks_of_the_owner(fake_link: Link) -> None:
    await Scene(fake_link).turn()
    second = Scene(fake_link)
    second.tracked = Tracked.of(second.taskqueue({**second.tracked.body["spec"], **PURGE}, uid="uid-second"))
    await second.turn()
    assert finalizers(second) == []


async def test_a_conflict_is_settled_by_the_next_pass(fake_link: Link) -> None:
    scene = Scene(fake_link, **PURGE)
    scene.cluster.add(scene.cluster.objects[Kind.TASK_QUEUE, "q"])  # somebody else writes
    assert await finalizer.put(scene.tracked.body, scene.cluster, on=True) is None  # type: ignore[arg-type]
    scene.tracked.update(scene.cluster.objects[Kind.TASK_QUEUE, "q"])
    await scene.turn()
    assert finalizers(scene) == [FINALIZER]


# When a purge ends


@pytest.mark.parametrize(
    ("step", "elapsed_s", "reason"),
    [
        pytest.param(Step(5, ""), 1.0, "Purged", id="done"),
        pytest.param(Step(5, "3 waiting"), PATIENCE_S - 1, None, id="not done"),
        pytest.param(Step(5, "3 waiting"), PATIENCE_S, "PurgeGivenUp", id="it takes too long"),
        pytest.param(Step(0, "all tasks", nowhere=True), UNKNOWN_S - 1, None, id="no Redis yet"),
        pytest.param(Step(0, "all tasks", nowhere=True), UNKNOWN_S, "PurgeGivenUp", id="no Redis any more"),
        pytest.param(Step(0, "all tasks", belongs_to="a/b/c"), 1.0, "PurgeSkipped", id="somebody else's queue"),
    ],
)
def test_a_purge_ends_in_time(step: Step, elapsed_s: float, reason: str | None) -> None:
    told = ending(step, elapsed_s)
    assert (told.reason if told else None) == reason


# What it does


class Deletion:
    """The scene's TaskQueue is deleted, and the operator looks again and again."""

    def __init__(self, scene: Scene, link: Link) -> None:
        self.scene = scene
        cluster: Any = scene.cluster
        reporter: Any = scene.reporter
        self.purger = Purger(
            scene.world, cluster, Endpoints(cluster), reporter.events, OperatorSettings(scheduler_image="s")
        )
        self.link = link

    def begin(self, ago_s: float = 0.0) -> None:
        body = self.scene.cluster.objects[Kind.TASK_QUEUE, "q"]
        moment = (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        marked = {**body, "metadata": {**body["metadata"], "deletionTimestamp": moment}}
        self.scene.world.put(Kind.TASK_QUEUE, self.scene.cluster.add(marked))

    async def until_let_go(self, turns: int = 200) -> None:
        for _ in range(turns):
            self.purger.look(self.scene.world.all(Kind.TASK_QUEUE))
            if not finalizers(self.scene):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"it still has {finalizers(self.scene)}")

    async def stats(self) -> QueueStats:
        return await self.link.run(Inspector("q").stats())


@pytest.fixture
async def deletion(fake_link: Link, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Deletion]:
    """A queue to purge whose children exist; the purger speaks to the same Redis, and does not wait long."""
    scene = Scene(fake_link, **PURGE)
    await scene.turn()

    class Shared:
        """Links of the purger: the test closes the one there is."""

        @staticmethod
        def from_url(url: str, **options: Any) -> Any:
            return fake_link

    async def stay_open() -> None: ...

    closing = fake_link.close
    monkeypatch.setattr(fake_link, "close", stay_open)
    monkeypatch.setattr(purger, "Link", Shared)
    monkeypatch.setattr(purger, "STEP_S", 0.01)
    deletion = Deletion(scene, fake_link)
    yield deletion
    await deletion.purger.close()
    monkeypatch.setattr(fake_link, "close", closing)


async def test_every_task_is_discarded_and_the_workers_go_first(deletion: Deletion) -> None:
    await deletion.scene.post(450)
    await deletion.link.run(Broker("q").enqueue([NewTask("later", "send", b"{}", delay_ms=60_000)]))
    deletion.begin()
    await deletion.until_let_go()
    stats = await deletion.stats()
    assert (stats.waiting, stats.delayed, stats.discarded, stats.unaccounted) == (0, 0, 451, 0)
    assert deletion.scene.cluster.events[-1] == "Purged 451 tasks discarded"
    order = deletion.scene.cluster.writes
    assert order.index("delete Deployment q-worker") < order.index("finalizers ")


async def test_it_waits_for_what_runs_and_nothing_new_is_given_out(deletion: Deletion) -> None:
    await deletion.scene.worker()
    await deletion.scene.post(3)
    [taken] = (await deletion.link.run(Broker("q").fetch(WORKER, 1))).tasks
    deletion.begin()
    with pytest.raises(AssertionError, match="it still has"):
        await deletion.until_let_go(turns=20)
    assert (await deletion.scene.policy()).hold is True
    assert (await deletion.stats()).active == 1
    await deletion.link.run(Broker("q").requeue(WORKER, [(taken.id, taken.token)]))
    await deletion.link.run(WorkerRegistry("q").unregister(WORKER))
    await deletion.until_let_go()
    stats = await deletion.stats()
    assert (stats.discarded, stats.unaccounted, stats.active) == (3, 0, 0)
    assert (await deletion.scene.policy()).hold is False, "a successor begins without a hold"
    claim = Tracked("other", "ns", "q2", {}).claim("kubernetes")
    assert (await deletion.link.run(QueuePolicy("q").claim(claim, 1000))).granted


async def test_a_queue_that_another_owns_by_now_is_not_touched(deletion: Deletion) -> None:
    await deletion.scene.post(3)
    await deletion.link.run(QueuePolicy("q").release("uid-q"))
    await deletion.link.run(QueuePolicy("q").claim(Tracked("other", "ns", "new", {}).claim("c"), 60_000))
    deletion.begin()
    await deletion.until_let_go()
    assert (await deletion.stats()).waiting == 3
    assert (await deletion.scene.policy()).hold is False
    assert deletion.scene.cluster.events[-1].startswith("PurgeSkipped the queue belongs to TaskQueue c/ns/new")


async def test_it_gives_up_in_time_and_says_what_is_left(deletion: Deletion) -> None:
    await deletion.scene.worker()
    await deletion.scene.post(1)
    await deletion.link.run(Broker("q").fetch(WORKER, 1))
    deletion.begin(ago_s=PATIENCE_S)
    await deletion.until_let_go()
    [event] = [one for one in deletion.scene.cluster.events if one.startswith("PurgeGivenUp")]
    assert event.endswith("still left: 1 running, 1 workers")


async def test_a_finished_purge_does_not_begin_again_before_the_watch_says_that_it_is_gone(deletion: Deletion) -> None:
    deletion.begin()
    await deletion.until_let_go()
    stale = deletion.scene.world.all(Kind.TASK_QUEUE)
    for _ in range(5):
        deletion.purger.look(stale)
        await asyncio.sleep(0)
    assert deletion.purger.queues == {}
    deletion.purger.look([])


# Before the operator goes


class Farewell:
    """An API server with an operator that ends at the second look; `busy` looks later it gives its lease up."""

    def __init__(self, scene: Scene, error: ClusterError | None = None, busy: int = 0) -> None:
        self.scene, self.pods, self.error, self.busy = scene, 2, error, busy
        self.holders: list[str] = []
        spec = {"holderIdentity": "operator", "leaseTransitions": 1}
        self.body: dict[str, Any] = {"metadata": {"resourceVersion": "1"}, "spec": spec}

    async def stop(self, namespace: str, deployment: str) -> int:
        if self.error:
            raise self.error
        self.pods -= 1
        return self.pods

    async def list(self, kind: Kind, namespace: str | None) -> tuple[list[Any], int]:
        return [body for (of, _), body in self.scene.cluster.objects.items() if of is kind], 1

    async def set_finalizers(self, body: Any, names: Sequence[str]) -> Any:
        return await self.scene.cluster.set_finalizers(body, names)

    async def lease(self, namespace: str, name: str) -> dict[str, Any]:
        if self.pods <= 0 and self.body["spec"]["holderIdentity"] == "operator":
            self.busy -= 1
            if self.busy < 0:
                self.body["spec"]["holderIdentity"] = ""
            else:  # its last pass puts the finalizer on once more
                for body in (await self.list(Kind.TASK_QUEUE, None))[0]:
                    await self.set_finalizers(body, ["ferryman.dev/purge"])
        return self.body

    async def replace_lease(self, body: dict[str, Any]) -> dict[str, Any]:
        self.body = body
        self.holders.append(body["spec"]["holderIdentity"])
        return body


async def test_nobody_waits_for_an_operator_that_is_uninstalled(
    fake_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "STEP_S", 0.0)
    scene = Scene(fake_link, **PURGE)
    await scene.turn()
    cluster: Any = Farewell(scene)
    assert await farewell.farewell(cluster, "ferryman-operator", "ferryman-system", [])
    assert finalizers(scene) == []
    assert cluster.pods <= 0
    assert cluster.holders[0] == "ferryman-operator farewell", "an operator that is left can write nothing"
    assert cluster.holders[-1] == "", "the next one need not wait"


async def test_an_operator_that_is_still_in_its_last_pass_is_waited_for(
    fake_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "STEP_S", 0.0)
    scene = Scene(fake_link, **PURGE)
    await scene.turn()
    cluster: Any = Farewell(scene, busy=3)
    assert await farewell.farewell(cluster, "ferryman-operator", "ferryman-system", [])
    assert (finalizers(scene), cluster.busy) == ([], -1)


async def test_an_operator_that_cannot_be_stopped_does_not_stop_the_uninstall(
    fake_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "STEP_S", 0.01)
    monkeypatch.setattr(farewell, "PATIENCE_S", 0.05)
    scene = Scene(fake_link, **PURGE)
    await scene.turn()
    cluster: Any = Farewell(scene, Forbidden(403, "cannot patch deployments"))
    assert await farewell.farewell(cluster, "ferryman-operator", "ferryman-system", ["ns"])
    assert finalizers(scene) == []
