"""Rates from counters, and the counters from what a real queue says of itself."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from ferryman_bench import Bench
from ferryman_operator.backlog import Reading
from ferryman_operator.rates import ASSUMED_SERVICE_S, Counters, Rates, arrival_memory_s, updated

from ferryman.protocol import Completion


def counters(at_s: float, arrived: int = 0, runs: int = 0, run_ms: int = 0, busy: int = 0) -> Counters:
    return Counters(at_s, arrived, runs, run_ms, busy)


def after(looks: Iterable[Counters]) -> Rates:
    rates: Rates | None = None
    for look in looks:
        rates = updated(rates, look)
    assert rates
    return rates


def test_rates_begin_with_the_queues_whole_life() -> None:
    assert updated(None, counters(0, 500, runs=100, run_ms=40_000)).service_s == 0.4
    assert updated(None, counters(0)).service_s == ASSUMED_SERVICE_S


def test_the_first_runs_replace_the_assumption_and_later_ones_only_shift_it() -> None:
    rates = after([counters(0), counters(1, runs=20, run_ms=2_000)])
    assert rates.service_s == pytest.approx(0.1)
    rates = updated(rates, counters(2, runs=21, run_ms=12_000))
    assert 0.1 < rates.service_s < 1.0


def test_a_second_with_few_runs_does_not_count_like_a_full_one() -> None:
    """Short tasks end by the hundred, long ones now and then: what counts is the mean of the runs."""
    looks, runs, run_ms = [counters(0)], 0, 0
    for second in range(1, 200):
        runs, run_ms = (runs + 100, run_ms + 10_000) if second % 2 else (runs + 1, run_ms + 10_000)
        looks.append(counters(second, runs=runs, run_ms=run_ms))
    assert after(looks).service_s == pytest.approx(20 / 101, rel=0.1)


def test_run_times_that_change_are_learned_and_a_slow_queue_remembers_its_last_runs() -> None:
    fast = [counters(second, runs=100 * second, run_ms=10_000 * second) for second in range(100)]
    changed = [
        counters(100 + second, runs=9_900 + 100 * second, run_ms=990_000 + 100_000 * second) for second in range(90)
    ]
    assert after(fast + changed).service_s == pytest.approx(1.0, rel=0.1)
    slow = [counters(600 * look, runs=look, run_ms=1_000 * look) for look in range(1, 11)]
    assert updated(after(slow), counters(12_000, runs=11, run_ms=20_000)).service_s == pytest.approx(1.6, abs=0.5)


def test_a_burst_is_a_rate_for_a_while_but_no_flow() -> None:
    burst = after(
        [counters(0), counters(1, arrived=1000), *(counters(second, arrived=1000) for second in range(2, 20))]
    )
    assert 10 < burst.arrivals_per_s < 34
    assert burst.flow_per_s == 0
    steady = after(counters(second, arrived=50 * second) for second in range(300))
    assert steady.arrivals_per_s == pytest.approx(50, rel=0.02)
    assert steady.flow_per_s == 50


@pytest.mark.parametrize(
    ("target_s", "cooldown_s", "memory_s"),
    [(5.0, 60.0, 30.0), (90.0, 60.0, 90.0), (1.0, 3.0, 3.0), (5.0, 0.0, 5.0)],
    ids=["defaults", "a burst that may take long", "a short cooldown", "none"],
)
def test_arrivals_are_remembered_for_a_while_that_suits_the_queue(
    target_s: float, cooldown_s: float, memory_s: float
) -> None:
    assert arrival_memory_s(target_s, cooldown_s) == memory_s


def test_a_run_that_has_not_ended_is_as_long_as_nothing_has_ended() -> None:
    known = [counters(0, runs=100, run_ms=10_000, busy=10), counters(1, runs=110, run_ms=11_000, busy=10)]
    waiting = [counters(second, runs=110, run_ms=11_000, busy=10) for second in range(2, 31)]
    rates = after(known + waiting)
    assert (rates.silent_s, rates.service_s) == (29, 29)
    rates = updated(rates, counters(31, runs=110, run_ms=11_000, busy=0))
    assert rates.silent_s == 0
    assert rates.service_s == pytest.approx(0.1)


def test_slots_in_use_are_smoothed() -> None:
    rates = after([counters(0), *(counters(second, busy=40) for second in range(1, 31))])
    assert rates.busy == pytest.approx(40 * 0.63, rel=0.02)


def test_counters_that_went_back_start_anew() -> None:
    rates = after([counters(0, 500, 100, 40_000), counters(1, 3, 0, 0)])
    assert (rates.arrivals_per_s, rates.service_s) == (0.0, ASSUMED_SERVICE_S)


def test_tasks_that_are_discarded_are_no_negative_arrivals() -> None:
    rates = after([counters(0, 500), counters(1, 600), counters(2, 100), counters(3, 200)])
    assert rates.arrivals_per_s == pytest.approx(100 * (1 - 0.967**2), rel=0.1)


def test_the_same_moment_twice_changes_nothing() -> None:
    rates = after([counters(0), counters(1, 10)])
    assert updated(rates, counters(1, 10)) is rates


async def reading(bench: Bench) -> Reading:
    return Reading(await bench.stats(), await bench.run(bench.workers.list()), None, 0.0)


async def test_a_task_that_is_due_later_has_not_arrived_and_one_that_comes_back_has_again(bench: Bench) -> None:
    await bench.enqueue("later", delay_ms=60_000)
    assert (await reading(bench)).counters().arrived == 0

    [held] = await bench.hold_active("w", "t")
    assert (await reading(bench)).counters().arrived == 1
    await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=0, run_ms=5))
    assert (await reading(bench)).counters().arrived == 1
    await bench.run(bench.broker.promote())
    assert (await reading(bench)).counters().arrived == 2


async def test_every_run_counts_once_in_the_mean_whether_it_spent_an_attempt_or_not(bench: Bench) -> None:
    [held] = await bench.hold_active("w", "t")
    for spend in (True, False, False):
        await bench.run(bench.broker.retry("w", "t", held.token, delay_ms=0, spend=spend, run_ms=100))
        await bench.run(bench.broker.promote())
        [held] = await bench.fetch("w")
    await bench.run(bench.broker.complete("w", [Completion("t", held.token, 100)]))

    found = (await reading(bench)).counters()
    assert (found.runs, found.run_ms_total) == (4, 400)
    assert updated(None, found).service_s == 0.1
