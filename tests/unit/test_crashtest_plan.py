"""The plan of a crash test: the same for the same seed, and possible."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ferryman.crashtest.kills import DEFAULT_KINDS, KINDS
from ferryman.crashtest.plan import RESPITE_MS, KindOfKill, Order, plan_kills, plan_tasks

ALL = [KINDS[name].plan(15_000) for name in KINDS]


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


def test_the_command_offers_the_kinds_that_exist() -> None:
    from ferryman.cli import crash_test

    assert crash_test._KINDS == DEFAULT_KINDS


def _idle_at(order: Order, at_ms: int, kinds: dict[str, KindOfKill]) -> bool:
    return kinds[order.kind].idles and order.at_ms <= at_ms < order.at_ms + order.lasts_ms
