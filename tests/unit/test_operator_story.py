"""The story of a TaskQueue in events: each change once, a scale-down as a whole, and repetition counted up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ferryman_bench.operator_scene import FakeCluster
from ferryman_operator.autoscaler import Decision, Memory, Reason
from ferryman_operator.backlog import Unmeasured
from ferryman_operator.cluster import NotFound
from ferryman_operator.conditions import Findings, conditions
from ferryman_operator.events import COUNT_EVERY_S, SAME_S, Events
from ferryman_operator.spec import StopPolicy
from ferryman_operator.story import APART_S, LONGEST_S, STANDS_S, Scalings, Told, scaled, transitions
from ferryman_operator.tracked import Tracked

GOOD = Findings(generation=1, policy_written=True, decision=Decision(0, Reason.FLOOR, "because", Memory()))
AWAY = replace(GOOD, unmeasured=Unmeasured("Timeout", "no answer"))


def told(before: Findings, after: Findings) -> list[str]:
    old, new = ({"conditions": conditions(found)} for found in (before, after))
    return [f"{one.kind} {one.reason}: {one.message}" for one in transitions(old, new)]


def test_trouble_and_its_end_are_told_once() -> None:
    assert told(GOOD, AWAY) == ["Warning Timeout: no answer"]
    assert told(AWAY, AWAY) == []
    assert told(AWAY, GOOD) == ["Normal Ready: no longer Timeout: no workers are needed"]


def test_a_pause_and_its_end_are_told_once() -> None:
    held = replace(GOOD, stop_policy=StopPolicy.HOLD, on_hold=True)
    assert told(GOOD, held) == ["Normal Paused: spec.stopPolicy is Hold"]
    assert told(held, held) == []
    assert told(held, GOOD) == ["Normal Resumed: no longer StopPolicy: tasks are handed out"]


def test_a_scheduler_that_has_just_been_made_is_no_trouble() -> None:
    assert list(transitions({}, {"conditions": conditions(replace(GOOD, schedules=False))})) == []


def changes(*looks: tuple[float, int, int]) -> list[tuple[float, int, int]]:
    """Looks (when, replicas, wanted) at a queue without workers at first; the changes told (when, before, after)."""
    scalings = Scalings(0, 0)
    return [(at_s, *change) for at_s, replicas, wanted in looks if (change := scalings.look(replicas, wanted, at_s))]


def test_a_scale_up_is_told_at_once() -> None:
    assert changes((0, 0, 0), (1, 6, 6), (2, 6, 6)) == [(1, 0, 6)]


def test_workers_that_go_one_by_one_are_one_event() -> None:
    looks = [(1.0, 5, 5), *((20.0 + n, 5 - n, 0) for n in range(6)), (26.0, 0, 0)]
    assert changes(*looks) == [(1, 0, 5), (25, 5, 0)]


def test_a_scale_down_that_stands_still_is_told_as_far_as_it_has_come() -> None:
    looks = [(1.0, 5, 5), (20.0, 3, 0), (20.0 + STANDS_S - 1, 3, 0), (20.0 + STANDS_S, 3, 0)]
    assert changes(*looks) == [(1, 0, 5), (20 + STANDS_S, 5, 3)]


def test_a_long_scale_down_is_told_in_parts() -> None:
    looks = [(0.0, 99, 99), *((10.0 + second, 99 - second // 2, 0) for second in range(2, 90))]
    [first, part] = changes(*looks)
    assert part == (12 + LONGEST_S, 99, 99 - 31)
    assert first == (0, 0, 99)


def test_steps_up_in_a_row_are_told_together() -> None:
    looks = [(1.0, 2, 9), (2.0, 4, 9), (3.0, 6, 9), (1 + APART_S, 7, 9), (20.0, 7, 9)]
    assert changes(*looks) == [(1, 0, 2), (1 + APART_S, 2, 7)]


def test_what_was_undone_before_it_was_told_is_not_told() -> None:
    assert changes((1, 5, 5), (20, 4, 0), (21, 5, 5), (60, 5, 5)) == [(1, 0, 5)]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Post(FakeCluster):
    """Takes events, and forgets them when told to."""

    expired = False

    async def patch_event(self, namespace: str, name: str, change: Any) -> None:
        if self.expired:
            raise NotFound(404, "gone")
        await super().patch_event(namespace, name, change)


async def posted(times_s: Sequence[float], *, expired: bool = False) -> list[str]:
    cluster: Any = Post()
    cluster.expired = expired
    clock = Clock()
    events = Events(cluster, clock)
    tracked = Tracked("u", "ns", "q", {"metadata": {}})
    for time_s in times_s:
        clock.now_s = 1000 + time_s
        await events.post(tracked, Told("Warning", "Timeout", "no answer"))
    return list(cluster.events)


@pytest.mark.parametrize(
    ("times_s", "expected"),
    [
        pytest.param([0], ["Timeout no answer"], id="once"),
        pytest.param([0, 1, 2, 3], ["Timeout no answer"], id="a flood is one write"),
        pytest.param(
            [0, 1, 2, COUNT_EVERY_S, COUNT_EVERY_S + 1], ["Timeout no answer", "again 4"], id="counted up now and then"
        ),
        pytest.param([0, SAME_S + 1], ["Timeout no answer"] * 2, id="much later it is news"),
    ],
)
async def test_the_same_words_again_are_counted(times_s: list[float], expected: list[str]) -> None:
    assert await posted(times_s) == expected


async def test_an_event_that_has_expired_is_made_anew() -> None:
    assert await posted([0, COUNT_EVERY_S], expired=True) == ["Timeout no answer"] * 2


def test_a_scaling_reads_as_a_sentence() -> None:
    assert scaled(0, 6, "120 waiting") == Told("Normal", "ScaledUp", "0 -> 6: 120 waiting")
    assert scaled(6, 0, "nothing to do") == Told("Normal", "ScaledDown", "6 -> 0: nothing to do")
