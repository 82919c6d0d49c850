"""Which of the tasks that run are about to end, where all take about the same time."""

from __future__ import annotations

import pytest
from ferryman_worker.forecast import FORECAST_S, Forecast

RUN_S = 0.05


def after(*runs_s: float) -> Forecast:
    """What has seen such runs, one after another."""
    forecast = Forecast()
    for number, run_s in enumerate(runs_s):
        forecast.began(number, 0.0)
        forecast.ended(number, run_s)
    return forecast


def test_a_crowd_that_began_together_is_due_together_and_shortly_before_it_ends() -> None:
    forecast = after(*[RUN_S] * 20)
    for key in range(100):
        forecast.began(key, 1.0 + key * 0.00001)
    assert forecast.due(1.0 + RUN_S - 2 * FORECAST_S) == 0
    assert forecast.due(1.001 + RUN_S - FORECAST_S) == 100


def test_what_has_ended_is_no_longer_due() -> None:
    forecast = after(*[RUN_S] * 20)
    for key in range(3):
        forecast.began(key, 1.0)
    assert forecast.due(1.0 + RUN_S) == 3
    forecast.ended(1, RUN_S)
    assert forecast.due(1.0 + RUN_S) == 2


def test_what_ended_early_never_becomes_due() -> None:
    forecast = after(*[RUN_S] * 20)
    forecast.began("a", 1.0)
    forecast.ended("a", RUN_S / 2)
    assert forecast.due(1.0 + RUN_S) == 0


def test_what_should_have_ended_long_ago_is_waited_for_no_more() -> None:
    forecast = after(*[RUN_S] * 20)
    forecast.began("a", 1.0)
    assert forecast.due(1.0 + RUN_S + 0.019) == 1
    assert forecast.due(1.0 + RUN_S + 0.021) == 0


def test_it_says_when_the_next_one_becomes_due() -> None:
    forecast = after(*[RUN_S] * 20)
    assert forecast.until_next_s(1.0) == pytest.approx(RUN_S - FORECAST_S), "what begins now"
    forecast.began("a", 1.0)
    forecast.began("b", 1.02)
    assert forecast.until_next_s(1.0) == pytest.approx(RUN_S - FORECAST_S)
    assert forecast.until_next_s(1.05) == pytest.approx(0.01), "a is due by then"


@pytest.mark.parametrize(
    ("runs_s", "valid"),
    [
        ([], False),
        ([RUN_S] * 5, False),
        ([RUN_S] * 20, True),
        ([RUN_S] * 30 + [1.0], True),
        ([RUN_S] * 40 + [1.0] * 4, False),
        ([RUN_S, 1.0] * 20, False),
        ([0.002] * 40, False),
        ([1.0] * 40, False),
        ([RUN_S] * 40 + [0.3] * 40, True),
    ],
    ids=[
        "none",
        "few",
        "alike",
        "but one",
        "another kind",
        "mixed",
        "shorter than it looks",
        "longer than it pays",
        "a new kind",
    ],
)
def test_it_is_valid_only_while_runs_are_alike(runs_s: list[float], valid: bool) -> None:
    forecast = after(*runs_s)
    assert forecast.valid is valid
    assert (forecast.until_next_s(0.0) is None) or valid


def test_what_is_said_of_a_new_kind_is_of_that_kind() -> None:
    forecast = after(*[RUN_S] * 40, *[0.3] * 40)
    forecast.began("a", 1.0)
    assert forecast.due(1.0 + RUN_S) == 0
    assert forecast.due(1.3) == 1
