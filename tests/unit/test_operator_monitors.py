"""PodMonitors: Prometheus finds every worker and every scheduler, and nothing is left of one that has gone."""

from __future__ import annotations

from typing import Any

import pytest
from ferryman_bench.operator_scene import Scene
from ferryman_operator import names
from ferryman_operator.monitors import MonitorSettings, scheduler_monitor, worker_monitor
from ferryman_operator.settings import OperatorSettings
from ferryman_operator.spec import RedisRef, TaskQueueSpec
from ferryman_operator.world import Kind

from ferryman.link import Link

REDIS = "redis://r:6379/0"
SCHEDULER = names.scheduler_deployment(RedisRef(url=REDIS))


@pytest.fixture
async def scene(fake_link: Link) -> Scene:
    scene = Scene(fake_link)
    scene.children.pod_monitors = True
    await scene.turn()
    return scene


def monitors(scene: Scene) -> dict[str, dict[str, Any]]:
    return {name: body for (kind, name), body in scene.cluster.objects.items() if kind is Kind.POD_MONITOR}


async def test_workers_and_the_shared_scheduler_are_scraped(scene: Scene) -> None:
    found = monitors(scene)
    assert found.keys() == {"q-worker", SCHEDULER}
    for name, monitor in found.items():
        pods = scene.cluster.objects[Kind.DEPLOYMENT, name]["spec"]["template"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        ports = [port["name"] for container in pods["spec"]["containers"] for port in container["ports"]]
        assert ports == [endpoint["port"]]
        assert "honorLabels" not in endpoint


async def test_each_is_written_once(scene: Scene) -> None:
    scene.cluster.writes.clear()
    for _ in range(3):
        await scene.turn()
    assert scene.cluster.writes == []


async def test_none_is_made_in_a_cluster_without_the_kind_or_against_the_settings(fake_link: Link) -> None:
    class Unwanted(Scene):
        settings = OperatorSettings(scheduler_image="s:1", pod_monitors=MonitorSettings(enabled=False))

    for scene in (Scene(fake_link), Unwanted(fake_link)):
        scene.children.pod_monitors = isinstance(scene, Unwanted)
        await scene.turn()
        assert not monitors(scene)


async def test_a_scheduler_that_nobody_needs_takes_its_monitor_along(scene: Scene) -> None:
    scene.change(redis={"url": "redis://elsewhere:6379/0"})
    await scene.turn()
    await scene.children.remove_unowned_schedulers([scene.tracked])
    assert monitors(scene).keys() == {"q-worker", names.scheduler_deployment(RedisRef(url="redis://elsewhere:6379/0"))}
    assert (Kind.DEPLOYMENT, SCHEDULER) not in scene.cluster.objects


async def test_those_that_were_made_go_when_the_settings_say_so_and_no_others(scene: Scene, fake_link: Link) -> None:
    class Unwanted(Scene):
        settings = OperatorSettings(scheduler_image="s:1", pod_monitors=MonitorSettings(enabled=False))

    after = Unwanted(fake_link)  # the operator that starts with the new settings
    after.children.pod_monitors = True
    found = {key: body for key, body in scene.cluster.objects.items() if key[0] is Kind.POD_MONITOR}
    [example, *_] = found.values()
    others = {**example, "metadata": {**example["metadata"], "name": "somebodys", "uid": "s", "ownerReferences": []}}
    found[Kind.POD_MONITOR, "somebodys"] = others
    after.cluster.objects |= found
    for body in found.values():
        after.world.put(Kind.POD_MONITOR, body)
    after.cluster.writes.clear()
    for _ in range(2):
        await after.children.remove_unwanted_monitors()
    assert monitors(after).keys() == {"somebodys"}
    assert len(after.cluster.writes) == 2  # each is deleted once

    scene.world.put(Kind.POD_MONITOR, others)
    await scene.children.remove_unwanted_monitors()
    assert monitors(scene).keys() == {"q-worker", SCHEDULER}


def taskqueue(name: str) -> TaskQueueSpec:
    spec = {"redis": {"url": REDIS}, "worker": {"image": "acme:1", "app": "acme.tasks"}}
    return TaskQueueSpec.from_body({"metadata": {"uid": f"uid-{name}", "namespace": "ns", "name": name}, "spec": spec})


def test_the_labels_by_which_a_prometheus_selects_are_added_and_take_none_of_ours_away() -> None:
    ours = "app.kubernetes.io/managed-by"
    settings = MonitorSettings(labels={"release": "kps", ours: "somebody"})
    for monitor in (worker_monitor(taskqueue("a"), settings), scheduler_monitor([taskqueue("a")], settings)):
        assert monitor["metadata"]["labels"]["release"] == "kps"
        assert monitor["metadata"]["labels"][ours] == names.MANAGER


def test_a_schedulers_monitor_goes_with_the_last_of_its_taskqueues() -> None:
    group = [taskqueue("a"), taskqueue("b")]
    owners = scheduler_monitor(group, MonitorSettings())["metadata"]["ownerReferences"]
    assert [(owner["name"], owner["controller"]) for owner in owners] == [("a", False), ("b", False)]
    assert scheduler_monitor(group, MonitorSettings()) == scheduler_monitor(group[::-1], MonitorSettings())
