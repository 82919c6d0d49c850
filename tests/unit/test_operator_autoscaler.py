"""The autoscaler's decisions, as a table: demand in, wanted workers and the reason out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ferryman_operator.autoscaler import Decision, Demand, Memory, Reason, decide
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

NOTHING = Demand(waiting=0, busy=0, due_soon=0, orphaned=0, oldest_age_s=0.0, arrivals_per_s=0.0, service_s=1.0)
SCALING = Scaling(
    mode=ScalingMode.OPERATOR,
    min_replicas=0,
    max_replicas=20,
    target_latency_s=5.0,
    cooldown_s=60.0,
    replicas=None,
)


def decided(
    demand: Demand | None,
    *,
    scaling: Scaling = SCALING,
    current: int = 0,
    settled: bool = True,
    hold: StopPolicy = StopPolicy.NONE,
    memory: Memory | None = None,
    now_s: float = 1000.0,
    concurrency: int = 10,
) -> Decision:
    return decide(scaling, concurrency, demand, current=current, settled=settled, hold=hold, memory=memory, now_s=now_s)


@pytest.mark.parametrize(
    ("demand", "scaling", "wanted", "reason"),
    [
        pytest.param({}, {}, 0, Reason.FLOOR, id="nothing to do"),
        pytest.param({}, {"min_replicas": 2}, 2, Reason.FLOOR, id="nothing to do, but a floor"),
        pytest.param({"waiting": 1}, {}, 1, Reason.BACKLOG_DRAIN, id="one task wakes one worker"),
        pytest.param({"waiting": 1}, {"min_replicas": 3}, 3, Reason.FLOOR, id="the floor is above the need"),
        pytest.param({"waiting": 200}, {}, 4, Reason.BACKLOG_DRAIN, id="200 s of work in 5 s on 10 slots"),
        pytest.param({"waiting": 201}, {}, 5, Reason.BACKLOG_DRAIN, id="rounded up"),
        pytest.param({"waiting": 1000, "service_s": 0.1}, {}, 2, Reason.BACKLOG_DRAIN, id="short tasks"),
        pytest.param({"waiting": 2000}, {}, 20, Reason.CEILING, id="straight to the ceiling from zero"),
        pytest.param(
            {"waiting": 1000, "service_s": 0.1, "arrivals_per_s": 16.6},
            {},
            2,
            Reason.BACKLOG_DRAIN,
            id="short tasks that came all at once: the burst is not counted twice",
        ),
        pytest.param({"waiting": 200}, {"target_latency_s": 1.0}, 20, Reason.BACKLOG_DRAIN, id="a stricter target"),
        pytest.param({"busy": 25}, {}, 3, Reason.BACKLOG_DRAIN, id="no backlog, but slots in use"),
        pytest.param({"due_soon": 1}, {}, 1, Reason.DUE_SOON, id="due within seconds"),
        pytest.param({"due_soon": 100}, {}, 2, Reason.DUE_SOON, id="many due within seconds"),
        pytest.param({"orphaned": 1}, {}, 1, Reason.BACKLOG_DRAIN, id="tasks of a silent worker need a worker"),
        pytest.param(
            {"waiting": 1, "arrivals_per_s": 50.0}, {}, 6, Reason.BACKLOG_DRAIN, id="Little's law on steady arrivals"
        ),
        pytest.param({"arrivals_per_s": 50.0}, {}, 0, Reason.FLOOR, id="a rate alone is no demand"),
    ],
)
def test_workers_follow_demand_in_one_step(
    demand: dict[str, float], scaling: dict[str, float], wanted: int, reason: Reason
) -> None:
    decision = decided(replace(NOTHING, **demand), scaling=replace(SCALING, **scaling))  # type: ignore[arg-type]
    assert (decision.wanted, decision.reason) == (wanted, reason)


def test_a_backlog_being_worked_on_does_not_change_the_wish() -> None:
    """Tasks move from waiting to busy; counting both in full would add workers while the work gets less."""
    memory: Memory | None = None
    wishes: list[int] = []
    for waiting, busy in [(1000, 0), (960, 20), (600, 20), (300, 20), (50, 20)]:
        demand = replace(NOTHING, waiting=waiting, busy=busy, service_s=0.1)
        decision = decided(demand, current=2, memory=memory, now_s=1000.0 + len(wishes))
        memory = decision.memory
        wishes.append(decision.wanted)
    assert wishes == [2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("quiet_s", "wanted", "reason"),
    [(0.0, 4, Reason.COOLDOWN), (59.0, 4, Reason.COOLDOWN), (60.0, 0, Reason.FLOOR)],
)
def test_workers_go_only_after_a_whole_cooldown(quiet_s: float, wanted: int, reason: Reason) -> None:
    busy = decided(replace(NOTHING, waiting=200), now_s=1000.0)
    decision = decided(NOTHING, current=4, memory=busy.memory, now_s=1000.0 + quiet_s)
    assert (decision.wanted, decision.reason) == (wanted, reason)


def test_a_single_task_within_the_cooldown_keeps_one_worker() -> None:
    memory = decided(replace(NOTHING, waiting=200), now_s=1000.0).memory
    memory = decided(replace(NOTHING, busy=1), current=4, memory=memory, now_s=1050.0).memory
    decision = decided(NOTHING, current=4, memory=memory, now_s=1070.0)
    assert (decision.wanted, decision.reason) == (1, Reason.COOLDOWN)


def test_a_new_operator_removes_nothing_before_a_cooldown() -> None:
    first = decided(NOTHING, current=7, memory=None, now_s=1000.0)
    later = decided(NOTHING, current=7, memory=first.memory, now_s=1061.0)
    assert [(one.wanted, one.reason) for one in (first, later)] == [(7, Reason.COOLDOWN), (0, Reason.FLOOR)]


def test_without_a_measurement_nothing_changes_and_the_cooldown_starts_anew() -> None:
    memory = decided(NOTHING, current=3, memory=None, now_s=1000.0).memory
    blind = decided(None, current=3, memory=memory, now_s=1050.0)
    assert (blind.wanted, blind.reason) == (3, Reason.NO_MEASUREMENT)
    assert decided(NOTHING, current=3, memory=blind.memory, now_s=1070.0).wanted == 3


@pytest.mark.parametrize(
    ("hold", "wanted"), [(StopPolicy.HOLD, 3), (StopPolicy.HOLD_AND_DRAIN, 0)], ids=["stays", "goes"]
)
def test_a_hold_decides_over_demand(hold: StopPolicy, wanted: int) -> None:
    decision = decided(replace(NOTHING, waiting=2000), current=3, hold=hold)
    assert (decision.wanted, decision.reason) == (wanted, Reason.HOLD)


@pytest.mark.parametrize(
    ("replicas", "wanted"),
    [(None, 4), (6, 6), (0, 1), (50, 20)],
    ids=["nobody has asked", "asked", "floor", "ceiling"],
)
def test_external_mode_takes_the_wish_of_others_within_bounds(replicas: int | None, wanted: int) -> None:
    scaling = replace(SCALING, mode=ScalingMode.EXTERNAL, min_replicas=1, replicas=replicas)
    decision = decided(replace(NOTHING, waiting=2000), scaling=scaling, current=4)
    assert (decision.wanted, decision.reason) == (wanted, Reason.EXTERNAL)


LATE = replace(NOTHING, waiting=5, oldest_age_s=8.0)


@pytest.mark.parametrize(
    ("demand", "current", "settled", "wanted", "reason"),
    [
        pytest.param(LATE, 5, True, 8, Reason.OLDEST_AGE, id="grows by how late tasks are"),
        pytest.param(replace(LATE, oldest_age_s=500.0), 5, True, 10, Reason.OLDEST_AGE, id="at most doubles"),
        pytest.param(LATE, 5, False, 5, Reason.COOLDOWN, id="not while workers still start"),
        pytest.param(LATE, 0, True, 1, Reason.BACKLOG_DRAIN, id="nothing to grow from zero"),
        pytest.param(replace(LATE, oldest_age_s=4.0), 5, True, 5, Reason.COOLDOWN, id="not when in time"),
    ],
)
def test_tasks_that_wait_too_long_call_for_more(
    demand: Demand, current: int, settled: bool, wanted: int, reason: Reason
) -> None:
    decision = decided(demand, current=current, settled=settled)
    assert (decision.wanted, decision.reason) == (wanted, reason)


def test_growth_for_age_waits_for_the_effect_of_the_last_one() -> None:
    first = decided(LATE, current=5, now_s=1000.0)
    soon = decided(LATE, current=8, memory=first.memory, now_s=1004.0)
    later = decided(LATE, current=8, memory=soon.memory, now_s=1005.0)
    assert [first.wanted, soon.wanted, later.wanted] == [8, 8, 13]


def test_a_lower_ceiling_holds_at_once() -> None:
    memory = decided(replace(NOTHING, waiting=2000), now_s=1000.0).memory
    lowered = replace(SCALING, max_replicas=3)
    assert decided(NOTHING, scaling=lowered, current=20, memory=memory, now_s=1001.0).wanted == 3


def test_the_sentence_tells_the_figures() -> None:
    decision = decided(replace(NOTHING, waiting=120, service_s=0.4))
    assert decision.message == "120 waiting, 0 running, 0.4 s each, target 5 s"
