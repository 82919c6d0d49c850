"""How far the worker fetches ahead."""

from __future__ import annotations

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
    assert after(100, 0.05, waited=True).target() == 10


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
