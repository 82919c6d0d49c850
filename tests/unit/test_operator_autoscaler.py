"""The autoscaler's decisions, as a table: demand in, wanted workers and the reason out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ferryman_operator.autoscaler import Decision, Demand, Memory, Reason, decide
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy

NOTHING = Demand(
    waiting=0,
    busy=0,
    busy_of_late=0.0,
    due_soon=0,
    orphaned=0,
    oldest_age_s=0.0,
    arrivals_per_s=0.0,
    flow_per_s=0.0,
    service_s=1.0,
    silent_s=0.0,
)
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
        pytest.param({"waiting": 202}, {}, 4, Reason.BACKLOG_DRAIN, id="a hair more is no worker"),
        pytest.param({"waiting": 204}, {}, 5, Reason.BACKLOG_DRAIN, id="otherwise rounded up"),
        pytest.param({"waiting": 1000, "service_s": 0.1}, {}, 2, Reason.BACKLOG_DRAIN, id="short tasks"),
        pytest.param({"waiting": 2000}, {}, 20, Reason.CEILING, id="straight to the ceiling from zero"),
        pytest.param(
            {"waiting": 1000, "service_s": 0.1, "arrivals_per_s": 33.3, "flow_per_s": 33.3},
            {},
            2,
            Reason.BACKLOG_DRAIN,
            id="short tasks that came all at once: the burst is not counted twice",
        ),
        pytest.param(
            {"waiting": 200, "arrivals_per_s": 20.0, "flow_per_s": 0.0},
            {},
            4,
            Reason.BACKLOG_DRAIN,
            id="an earlier burst is no flow",
        ),
        pytest.param({"waiting": 200}, {"target_latency_s": 1.0}, 20, Reason.BACKLOG_DRAIN, id="a stricter target"),
        pytest.param({"busy": 25, "busy_of_late": 25.0}, {}, 3, Reason.BACKLOG_DRAIN, id="slots in use for long"),
        pytest.param({"busy": 25, "service_s": 60.0}, {}, 3, Reason.BACKLOG_DRAIN, id="long tasks under way"),
        pytest.param({"busy": 25}, {}, 1, Reason.BACKLOG_DRAIN, id="short tasks under way are about to end"),
        pytest.param({"waiting": 30, "service_s": 60.0}, {}, 3, Reason.BACKLOG_DRAIN, id="one slot for a long task"),
        pytest.param({"waiting": 30, "service_s": 6000.0}, {}, 3, Reason.BACKLOG_DRAIN, id="however long it is"),
        pytest.param(
            {"waiting": 20, "busy": 30, "service_s": 5.0, "silent_s": 5.0},
            {},
            5,
            Reason.BACKLOG_DRAIN,
            id="nothing has ended for a whole target: no slot will be free",
        ),
        pytest.param(
            {"waiting": 20, "busy": 30, "service_s": 5.0, "silent_s": 1.0},
            {},
            2,
            Reason.BACKLOG_DRAIN,
            id="slots become free in time",
        ),
        pytest.param({"waiting": 5, "service_s": 0.0}, {}, 1, Reason.BACKLOG_DRAIN, id="tasks that take no time"),
        pytest.param({"due_soon": 1}, {}, 1, Reason.DUE_SOON, id="due within seconds"),
        pytest.param({"due_soon": 100}, {}, 2, Reason.DUE_SOON, id="many due within seconds"),
        pytest.param({"orphaned": 1}, {}, 1, Reason.BACKLOG_DRAIN, id="tasks of a silent worker need a worker"),
        pytest.param(
            {"waiting": 1, "arrivals_per_s": 50.0, "flow_per_s": 51.0, "service_s": 1.03},
            {},
            6,
            Reason.BACKLOG_DRAIN,
            id="Little's law on steady arrivals",
        ),
        pytest.param({"arrivals_per_s": 50.0, "flow_per_s": 50.0}, {}, 0, Reason.FLOOR, id="a rate is no demand"),
    ],
)
def test_workers_follow_demand_in_one_step(
    demand: dict[str, float], scaling: dict[str, float], wanted: int, reason: Reason
) -> None:
    decision = decided(
        replace(NOTHING, **demand),  # type: ignore[arg-type]
        scaling=replace(SCALING, **scaling),  # type: ignore[arg-type]
    )
    assert (decision.wanted, decision.reason) == (wanted, reason)


def test_workers_that_nothing_calls_for_are_explained() -> None:
    assert decided(NOTHING).message == "nothing to do"
    assert decided(NOTHING, scaling=replace(SCALING, min_replicas=2)).message == "nothing to do, and minReplicas is 2"


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
    [(0.0, 4, Reason.COOLDOWN), (59.0, 4, Reason.COOLDOWN), (66.0, 0, Reason.FLOOR)],
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


LATE = replace(NOTHING, waiting=100, busy=50, service_s=0.1, oldest_age_s=8.0)
ENOUGH = Memory(5, ((995.0, 5),), enough_since_s=995.0)


@pytest.mark.parametrize(
    ("demand", "current", "settled", "memory", "wanted", "reason"),
    [
        pytest.param(LATE, 5, True, ENOUGH, 8, Reason.OLDEST_AGE, id="grows by how late tasks are"),
        pytest.param(replace(LATE, oldest_age_s=500.0), 5, True, ENOUGH, 10, Reason.OLDEST_AGE, id="at most doubles"),
        pytest.param(replace(LATE, waiting=20), 5, True, ENOUGH, 7, Reason.OLDEST_AGE, id="to a slot for each task"),
        pytest.param(LATE, 5, False, ENOUGH, 5, Reason.COOLDOWN, id="not while workers still start"),
        pytest.param(LATE, 0, True, replace(ENOUGH, wanted=0), 1, Reason.BACKLOG_DRAIN, id="nothing to grow from zero"),
        pytest.param(replace(LATE, oldest_age_s=4.0), 5, True, ENOUGH, 5, Reason.COOLDOWN, id="not when in time"),
        pytest.param(
            LATE, 5, True, replace(ENOUGH, enough_since_s=996.0), 5, Reason.COOLDOWN, id="not before they had the time"
        ),
        pytest.param(
            replace(LATE, waiting=400),
            18,
            True,
            replace(ENOUGH, wanted=18),
            20,
            Reason.CEILING,
            id="not beyond the ceiling",
        ),
        pytest.param(
            replace(LATE, waiting=3000, service_s=1.0),
            5,
            True,
            ENOUGH,
            20,
            Reason.CEILING,
            id="the estimate asks for more",
        ),
    ],
)
def test_tasks_that_wait_too_long_call_for_more(
    demand: Demand, current: int, settled: bool, memory: Memory, wanted: int, reason: Reason
) -> None:
    decision = decided(demand, current=current, settled=settled, memory=memory)
    assert (decision.wanted, decision.reason) == (wanted, reason)


def test_growth_for_age_waits_for_the_effect_of_the_last_one() -> None:
    first = decided(LATE, current=5, memory=ENOUGH, now_s=1000.0)
    again = decided(LATE, current=8, settled=False, memory=first.memory, now_s=1001.0)
    settled = decided(LATE, current=8, memory=again.memory, now_s=1003.0)
    soon = decided(LATE, current=8, memory=settled.memory, now_s=1007.0)
    later = decided(LATE, current=8, memory=soon.memory, now_s=1008.0)
    assert [one.wanted for one in (first, again, settled, soon, later)] == [8, 8, 8, 8, 13]


def test_workers_on_their_way_out_come_back_for_tasks_that_wait_too_long() -> None:
    """A busy worker that drains holds its slots, and nobody else has any: to resume is faster than to start."""
    draining = Memory(3, ((1000.0, 3),))
    demand = replace(NOTHING, waiting=1, busy=31, service_s=60.0, oldest_age_s=6.0)
    decision = decided(demand, current=4, settled=False, memory=draining)
    assert (decision.wanted, decision.reason) == (4, Reason.OLDEST_AGE)


def test_a_worker_stays_while_random_arrivals_may_need_it() -> None:
    """29 slots fit 3 workers, but a flow of 29 is sometimes 34. Four would not be started for it, nor removed."""
    flow = replace(NOTHING, busy=29, busy_of_late=29.0, arrivals_per_s=29.0, flow_per_s=29.0)
    for current in (3, 4):
        memory: Memory | None = None
        for second in range(200):
            decision = decided(flow, current=current, memory=memory, now_s=1000.0 + second)
            memory = decision.memory
        assert decision.wanted == current


def test_workers_go_in_few_steps_however_slowly_demand_ebbs_away() -> None:
    memory: Memory | None = None
    changed: list[float] = []
    current = 0
    for second in range(120):
        demand = replace(NOTHING, waiting=max(0, 1000 - 50 * second), busy=10 if second < 20 else 0)
        decision = decided(demand, current=current, memory=memory, now_s=1000.0 + second)
        memory = decision.memory
        if decision.wanted < current:
            changed.append(second)
        current = decision.wanted
    assert current == 0
    assert 1 < len(changed) <= 5
    assert all(later - earlier >= SCALING.cooldown_s / 10 for earlier, later in itertools.pairwise(changed))


def test_a_lower_ceiling_holds_at_once() -> None:
    memory = decided(replace(NOTHING, waiting=2000), now_s=1000.0).memory
    lowered = replace(SCALING, max_replicas=3)
    assert decided(NOTHING, scaling=lowered, current=20, memory=memory, now_s=1001.0).wanted == 3


def test_the_sentence_tells_the_figures() -> None:
    decision = decided(replace(NOTHING, waiting=120, service_s=0.4))
    assert decision.message == "120 waiting, 0 running, 0.4 s each, target 5 s"
