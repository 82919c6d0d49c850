"""Limits on the rate of change: counted over the last minute, whatever the order of ups and downs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ferryman_operator.autoscaler import Decision, Demand, Memory, Reason, decide
from ferryman_operator.rate_limit import Sizes, limited, observed
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

SCALING = Scaling(ScalingMode.OPERATOR, 0, 20, 5.0, 0.0, None)
NOTHING = Demand(0, 0, 0.0, 0, 0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("sizes", "wanted", "allowed"),
    [
        pytest.param(((0.0, 4),), 20, 7, id="three more than now"),
        pytest.param(((0.0, 4), (30.0, 7)), 20, 7, id="and no more within the minute"),
        pytest.param(((0.0, 7), (30.0, 4)), 20, 7, id="counted from the lowest"),
        pytest.param(((0.0, 4), (30.0, 12)), 20, 12, id="what others added stays"),
        pytest.param(((0.0, 9),), 0, 7, id="two fewer than now"),
        pytest.param(((0.0, 9), (30.0, 7)), 0, 7, id="and no fewer within the minute"),
        pytest.param(((0.0, 4), (30.0, 9)), 0, 7, id="counted from the highest"),
        pytest.param(((0.0, 9), (30.0, 3)), 0, 3, id="what others removed stays away"),
        pytest.param(((0.0, 4),), 5, 5, id="within the limits"),
    ],
)
def test_the_last_minute_counts(sizes: Sizes, wanted: int, allowed: int) -> None:
    scaling = replace(SCALING, added_per_minute=3, removed_per_minute=2)
    number, limit = limited(wanted, scaling, sizes)
    assert number == allowed
    assert bool(limit) is (wanted != allowed)


def test_bounds_are_the_word_of_the_spec_and_hold_at_once() -> None:
    scaling = replace(SCALING, min_replicas=8, max_replicas=10, added_per_minute=3, removed_per_minute=2)
    assert limited(9, scaling, ((0.0, 0),)) == (8, "at most 3 are added in a minute (maxAddedPerMinute)")
    assert limited(10, scaling, ((0.0, 15),))[0] == 10
    assert limited(8, scaling, ((0.0, 15),))[0] == 10


def test_sizes_older_than_a_minute_are_forgotten_but_for_the_one_it_began_with() -> None:
    sizes: Sizes = ()
    for now_s, current in ((0.0, 1), (10.0, 1), (50.0, 2), (65.0, 3), (110.0, 3), (130.0, 3)):
        sizes = observed(sizes, current, now_s)
    assert sizes == ((65.0, 3),)
    assert observed(((0.0, 1), (50.0, 2)), 3, 65.0) == ((0.0, 1), (50.0, 2), (65.0, 3))


def run(scaling: Scaling, demand: Demand, current: int, for_s: int, memory: Memory | None = None) -> list[Decision]:
    """A decision each second, followed at once."""
    decisions = []
    for second in range(for_s):
        decision = decide(
            scaling, 10, demand, current=current, settled=True, hold=StopPolicy.NONE, memory=memory, now_s=second
        )
        memory, current = decision.memory, decision.wanted
        decisions.append(decision)
    return decisions


def test_a_burst_grows_by_the_limit_each_minute_and_says_why() -> None:
    burst = replace(NOTHING, waiting=700)
    decisions = run(replace(SCALING, added_per_minute=5), burst, 0, 181)
    assert [decisions[second].wanted for second in (0, 60, 61, 121, 122, 180)] == [5, 5, 10, 10, 14, 14]
    first = decisions[0]
    assert first.reason is Reason.RATE_LIMIT
    assert first.message.startswith("at most 5 are added in a minute (maxAddedPerMinute); 14 would do: 700 waiting")
    assert decisions[-1].reason is Reason.BACKLOG_DRAIN


def test_workers_go_by_the_limit_each_minute() -> None:
    decisions = run(replace(SCALING, removed_per_minute=4), NOTHING, 10, 181, Memory(10, ((-1.0, 0),)))
    assert [decisions[second].wanted for second in (0, 60, 61, 121, 122)] == [6, 6, 2, 2, 0]
    assert decisions[0].reason is Reason.RATE_LIMIT


def test_the_wish_of_somebody_else_is_limited_too_and_a_stop_is_not() -> None:
    scaling = replace(SCALING, mode=ScalingMode.EXTERNAL, replicas=20, added_per_minute=5, removed_per_minute=1)
    assert run(scaling, NOTHING, 3, 1)[0].wanted == 8
    stopped = decide(
        scaling, 10, NOTHING, current=9, settled=True, hold=StopPolicy.HOLD_AND_DRAIN, memory=None, now_s=0.0
    )
    assert (stopped.wanted, stopped.reason) == (0, Reason.HOLD)


def test_without_a_limit_nothing_is_remembered() -> None:
    assert run(SCALING, replace(NOTHING, waiting=700), 0, 3)[-1].memory.sizes == ()
