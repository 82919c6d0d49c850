"""The plan of a crash test: the same for the same seed, and possible."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ferryman.crashtest.kills import KILLS
from ferryman.crashtest.kinds import DEFAULT_KINDS, KINDS, LINK_KINDS, REDIS
from ferryman.crashtest.plan import (
    DICE_SIDES,
    RESPITE_MS,
    KindOfKill,
    Order,
    last_ms,
    plan_flows,
    plan_kills,
    plan_tasks,
    plan_work,
)

ALL = [KILLS[name].plan(15_000) for name in KINDS]


def test_the_seed_decides_everything() -> None:
    assert plan_kills(1, 50, 4, ALL) == plan_kills(1, 50, 4, ALL)
    assert plan_kills(1, 50, 4, ALL) != plan_kills(2, 50, 4, ALL)
    assert plan_tasks(1, 100, 50) == plan_tasks(1, 100, 50) != plan_tasks(2, 100, 50)


def test_more_kills_begin_with_the_same_ones() -> None:
    assert plan_kills(1, 60, 4, ALL)[:20] == plan_kills(1, 20, 4, ALL)


@pytest.mark.parametrize("workers", [1, 2, 4, 9])
@pytest.mark.parametrize("seed", range(5))
def test_a_worker_has_time_to_come_back_and_half_of_them_are_awake(seed: int, workers: int) -> None:
    orders = plan_kills(seed, 100, workers, ALL)
    assert [order.at_ms for order in orders] == sorted(order.at_ms for order in orders)
    kinds = {kind.name: kind for kind in ALL}
    hits = [order for order in orders if kinds[order.kind].hits_worker]
    for worker in range(workers):
        own = [order for order in hits if order.victim == worker]
        for before, after in pairwise(own):
            assert after.at_ms >= before.at_ms + before.lasts_ms + RESPITE_MS
    for order in orders:
        assert len([one for one in orders if _idle_at(one, order.at_ms, kinds)]) <= max(1, workers // 2)


def test_every_kind_has_its_turn() -> None:
    orders = plan_kills(3, 3 * len(ALL), 4, ALL)
    assert {order.kind for order in orders} == set(KINDS)


def test_a_pause_is_longer_than_the_heartbeat_timeout() -> None:
    pauses = [order for order in plan_kills(1, 50, 4, ALL) if order.kind == "pause"]
    assert pauses
    assert all(order.lasts_ms > 15_000 for order in pauses)


def test_tasks_take_about_as_long_as_asked() -> None:
    tasks = plan_tasks(1, 10_000, 50)
    assert len({task.id for task in tasks}) == 10_000
    assert 50 <= sum(task.ms for task in tasks) / len(tasks) <= 75
    assert {task.name for task in tasks} == {"in_loop", "in_thread", "in_process"}
    assert any(task.delay_ms for task in tasks)
    assert any(task.fails for task in tasks)


def test_every_kind_in_the_help_can_be_done_and_no_other() -> None:
    assert list(KILLS) == list(KINDS)
    assert all(kill.plan(15_000).name == name for name, kill in KILLS.items())
    assert set(KINDS) - set(DEFAULT_KINDS) == {REDIS}


def test_a_link_that_is_down_outlasts_the_promise_and_every_other_fault_of_a_link_does_not() -> None:
    for timeout_ms in (2_000, 15_000):
        for name in LINK_KINDS:
            plan = KILLS[name].plan(timeout_ms)
            if name == "link-down":
                assert plan.shortest_ms > timeout_ms
            else:
                assert plan.longest_ms < timeout_ms


def test_variants_come_from_the_seed_too() -> None:
    dice = [order.dice for order in plan_kills(1, 100, 4, ALL)]
    assert dice == [order.dice for order in plan_kills(1, 100, 4, ALL)]
    assert set(dice) == set(range(DICE_SIDES))


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_kills_take_minutes_and_not_hours(seed: int) -> None:
    assert last_ms(plan_kills(seed, 100, 4, ALL)) < 240_000


def _idle_at(order: Order, at_ms: int, kinds: dict[str, KindOfKill]) -> bool:
    return kinds[order.kind].idles and order.at_ms <= at_ms < order.at_ms + order.lasts_ms


def test_a_tenth_of_the_tasks_are_workflows_half_of_them_chains() -> None:
    flows = plan_flows(1, 1_000, 50)
    assert flows == plan_flows(1, 1_000, 50)
    assert sum(len(flow.nodes) for flow in flows) == 100
    waits_for = [[len(after) for _, after in flow.nodes] for flow in flows]
    assert waits_for == [[0, 1, 1, 1, 1], [0, 0, 0, 0, 4]] * 10
    assert len({task.id for flow in flows for task, _ in flow.nodes}) == 100


@pytest.mark.parametrize(("count", "lanes"), [(100, 2), (10_000, 18)])
def test_a_tenth_of_the_tasks_stand_in_lanes_of_about_fifty(count: int, lanes: int) -> None:
    work = plan_work(1, count, 50)
    assert len(work.ids) == len(set(work.ids)) == count
    assert count * 0.05 < len(work.lanes) < count * 0.15
    assert len(set(work.lanes.values())) == lanes
    assert set(work.joins) < set(work.ids)


def test_tasks_of_every_kind_stand_in_lanes() -> None:
    tasks = plan_tasks(1, 1_000, 50)
    assert {task.name for task in tasks if task.lane} == {"in_loop", "in_thread", "in_process"}
    assert all(task.lane.startswith("lane-") for task in tasks if task.lane)
