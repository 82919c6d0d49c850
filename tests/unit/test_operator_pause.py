"""Pausing by annotation: what it keeps from changing, and what it leaves alone."""

from __future__ import annotations

import pytest
from ferryman_bench.operator_scene import Scene
from ferryman_operator.pause import ANNOTATIONS, Pause
from ferryman_operator.spec import SpecError
from ferryman_operator.world import Kind

from ferryman.link import Link

PAUSED, REPLICAS, SCALE_IN, SCALE_OUT = ANNOTATIONS


@pytest.mark.parametrize(
    ("annotations", "wanted_of_current_3"),
    [
        pytest.param({}, {0: 0, 3: 3, 9: 9}, id="nothing"),
        pytest.param({PAUSED: "true"}, {0: 3, 3: 3, 9: 3}, id="paused"),
        pytest.param({PAUSED: "false", "other.dev/paused": "true"}, {0: 0, 9: 9}, id="not paused"),
        pytest.param({SCALE_IN: "true"}, {0: 3, 9: 9}, id="scale in"),
        pytest.param({SCALE_OUT: "True"}, {0: 0, 9: 3}, id="scale out"),
        pytest.param({SCALE_IN: "true", SCALE_OUT: "true"}, {0: 3, 9: 3}, id="both"),
        pytest.param({REPLICAS: "5"}, {0: 5, 9: 5}, id="an exact number"),
        pytest.param({REPLICAS: "0", PAUSED: "true", SCALE_IN: "true"}, {0: 0, 9: 0}, id="a number is the strongest"),
    ],
)
def test_each_verb_bounds_what_is_wanted(annotations: dict[str, str], wanted_of_current_3: dict[int, int]) -> None:
    pause = Pause.from_annotations(annotations)
    assert {wanted: pause.bound(wanted, 3) for wanted in wanted_of_current_3} == wanted_of_current_3
    assert bool(pause.sentence) is (wanted_of_current_3 != {wanted: wanted for wanted in wanted_of_current_3})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(PAUSED, "yes"), (SCALE_IN, ""), (SCALE_OUT, "1"), (REPLICAS, "-1"), (REPLICAS, "many"), (REPLICAS, "٣")],
)
def test_nonsense_is_refused_by_name(annotation: str, value: str) -> None:
    with pytest.raises(SpecError) as caught:
        Pause.from_annotations({annotation: value})
    assert caught.value.field == f"metadata.annotations[{annotation}]"


async def test_a_paused_queue_keeps_its_workers_and_gives_out_tasks(fake_link: Link) -> None:
    scene = Scene(fake_link)
    await scene.post(200)
    await scene.turn()
    assert scene.replicas() == 4
    scene.annotate(paused="true")  # counts no generation
    await scene.post(10)
    scene.change(scaling={"cooldown": "0s", "targetLatency": "1s"})
    await scene.turn()
    assert scene.replicas() == 4
    assert scene.condition("Paused") == "True ScalingPaused"
    assert scene.condition("ScalingActive") == "False ScalingPaused"
    status = scene.cluster.objects[Kind.TASK_QUEUE, "q"]["status"]
    assert status["scaling"]["reason"] == "Paused"
    assert "ferryman.dev/paused keeps the number of workers; without it 10: " in status["scaling"]["message"]
    assert (await scene.policy()).hold is False
    scene.annotate()
    await scene.turn()
    assert scene.replicas() == 10
    assert scene.condition("Paused") == "False Running"
    assert [event for event in scene.cluster.events if event.startswith(("Paused", "Resumed"))] == [
        "Paused ferryman.dev/paused keeps the number of workers; tasks are handed out",
        "Resumed no longer ScalingPaused: tasks are handed out",
    ]


async def test_an_exact_number_is_kept_above_the_ceiling_and_without_redis(fake_link: Link) -> None:
    scene = Scene(fake_link, scaling={"maxReplicas": 2})
    scene.annotate(paused_replicas="3")
    await scene.turn()
    assert scene.replicas() == 3
    assert scene.condition("ScalingActive") == "False ScalingPaused"


async def test_a_bad_annotation_leaves_the_last_good_ones_in_force(fake_link: Link) -> None:
    scene = Scene(fake_link)
    scene.annotate(paused_replicas="2")
    await scene.turn()
    scene.annotate(paused_replicas="two")
    await scene.turn()
    assert scene.replicas() == 2
    assert scene.condition("SpecValid") == "False InvalidSpec"


async def test_hold_and_drain_is_stronger_than_a_pause(fake_link: Link) -> None:
    scene = Scene(fake_link, stopPolicy="HoldAndDrain")
    scene.annotate(paused_replicas="2")
    await scene.turn()
    assert scene.replicas() == 0
    assert scene.condition("Paused") == "True StopPolicy"
