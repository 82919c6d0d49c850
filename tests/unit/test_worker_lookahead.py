"""How far the worker fetches ahead."""

from __future__ import annotations

import pytest
from ferryman_worker.lookahead import MOST_AHEAD, Lookahead


def after(slots: int, run_s: float, waited: bool, times: int = 200) -> Lookahead:
    lookahead = Lookahead(slots)
    for _ in range(times):
        lookahead.ran(run_s, waited)
    return lookahead


def test_nothing_is_hoarded_before_anything_was_measured() -> None:
    assert Lookahead(10).target() == 0


def test_no_op_tasks_are_fetched_by_the_hundred() -> None:
    assert after(10, 0.000_005, waited=False).target() == MOST_AHEAD


def test_one_second_tasks_are_not_fetched_beyond_the_free_slots() -> None:
    assert after(10, 1.0, waited=True).target() == 0
    assert after(10, 1.0, waited=False).target() == 0


def test_many_slots_of_short_waits_have_a_round_trip_s_work_at_hand() -> None:
    lookahead = Lookahead(100)
    for run_s in [0.07, 0.03] * 100:
        lookahead.ran(run_s, waited=True)
    assert lookahead.target() == 10


def test_slow_tasks_among_no_ops_end_the_hoarding_at_once() -> None:
    lookahead = after(10, 0.000_005, waited=False)
    lookahead.ran(1.0, waited=False)
    assert lookahead.target() == 0


def test_what_had_to_be_given_back_is_not_fetched_again_at_once() -> None:
    lookahead = after(10, 0.000_005, waited=False)
    lookahead.gave_back()
    assert lookahead.target() == 0


def test_after_slow_tasks_no_ops_win_the_look_ahead_back() -> None:
    lookahead = after(10, 1.0, waited=True)
    for _ in range(200):
        lookahead.ran(0.000_005, waited=False)
    assert lookahead.target() > 10


def test_where_runs_are_alike_the_slots_that_are_about_to_be_free_count_and_not_the_mean() -> None:
    now_s = 0.0
    lookahead = Lookahead(100, lambda: now_s)
    for _ in range(200):
        lookahead.ran(0.05, waited=True)
    for slot in range(100):
        lookahead.waits(slot)
    assert lookahead.target() == 0
    assert lookahead.until_more_s() == pytest.approx(0.04)
    now_s = 0.045
    assert lookahead.target() == 100


def test_no_op_tasks_among_those_that_are_alike_bring_the_mean_back() -> None:
    lookahead = after(100, 0.05, waited=True)
    for _ in range(20):
        lookahead.ran(0.000_005, waited=False)
    assert lookahead.target() > 10
    assert lookahead.until_more_s() is None
