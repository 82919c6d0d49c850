"""What holds for the autoscaler's decisions whatever the queue does."""

from __future__ import annotations

import itertools
from dataclasses import replace

from ferryman_operator.autoscaler import Decision, Demand, Memory, Reason, decide
from ferryman_operator.spec import Scaling, ScalingMode, StopPolicy
from hypothesis import given, settings
from hypothesis import strategies as st

counts = st.one_of(st.integers(0, 30), st.integers(0, 5000))
rates = st.one_of(st.just(0.0), st.floats(0.001, 2000))


@st.composite
def demands(draw: st.DrawFn) -> Demand:
    waiting, busy = draw(counts), draw(counts)
    return Demand(
        waiting=waiting,
        busy=busy,
        busy_of_late=draw(st.floats(0, 5000)),
        due_soon=draw(counts),
        orphaned=draw(counts),
        oldest_age_s=draw(st.floats(0, 1000)) if waiting else 0.0,
        arrivals_per_s=draw(rates),
        flow_per_s=draw(rates),
        service_s=draw(st.one_of(st.just(0.0), st.floats(0.001, 10_000))),
        silent_s=draw(st.floats(0, 1000)) if busy else 0.0,
    )


@st.composite
def scalings(draw: st.DrawFn) -> Scaling:
    least = draw(st.integers(0, 10))
    return Scaling(
        mode=ScalingMode.OPERATOR,
        min_replicas=least,
        max_replicas=draw(st.integers(max(1, least), 100)),
        target_latency_s=draw(st.floats(0.1, 600)),
        cooldown_s=draw(st.one_of(st.just(0.0), st.floats(0.1, 600))),
        replicas=None,
    )


concurrencies = st.integers(1, 200)
IDLE = Demand(
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


class Queue:
    """Decisions one after the other, carried out at once."""

    def __init__(self, scaling: Scaling, concurrency: int, replicas: int) -> None:
        self.scaling, self.concurrency, self.replicas = scaling, concurrency, replicas
        self.memory: Memory | None = None

    def decide(self, demand: Demand | None, now_s: float, *, settled: bool = True) -> Decision:
        decision = decide(
            self.scaling,
            self.concurrency,
            demand,
            current=self.replicas,
            settled=settled,
            hold=StopPolicy.NONE,
            memory=self.memory,
            now_s=now_s,
        )
        self.memory, self.replicas = decision.memory, decision.wanted
        return decision


looks = st.lists(st.tuples(st.floats(0.1, 30), st.one_of(st.none(), demands(), st.just(IDLE))), min_size=1, max_size=25)


@given(scaling=scalings(), concurrency=concurrencies, replicas=st.integers(0, 100), looks=looks, settled=st.booleans())
@settings(deadline=None, max_examples=150)
def test_wishes_stay_within_bounds_and_fall_only_on_a_measurement(
    scaling: Scaling, concurrency: int, replicas: int, looks: list[tuple[float, Demand | None]], settled: bool
) -> None:
    queue, now_s = Queue(scaling, concurrency, min(replicas, scaling.max_replicas)), 0.0
    for elapsed_s, demand in looks:
        now_s += elapsed_s
        before = queue.replicas
        decision = queue.decide(demand, now_s, settled=settled)
        assert scaling.min_replicas <= decision.wanted <= scaling.max_replicas
        if demand is None:
            assert decision.wanted == max(before, scaling.min_replicas)
            assert decision.reason is Reason.NO_MEASUREMENT


@given(scaling=scalings(), concurrency=concurrencies, replicas=st.integers(1, 100), looks=looks)
@settings(deadline=None, max_examples=150)
def test_the_last_worker_goes_only_when_nothing_was_to_do_for_a_whole_cooldown(
    scaling: Scaling, concurrency: int, replicas: int, looks: list[tuple[float, Demand | None]]
) -> None:
    queue, now_s = Queue(replace(scaling, min_replicas=0), concurrency, replicas), 0.0
    busy_s = 0.0  # the first look is one at a queue of which nothing is known
    for number, (elapsed_s, demand) in enumerate(looks):
        now_s += elapsed_s
        if number == 0 or demand is None or not demand.is_zero:
            busy_s = now_s
        decision = queue.decide(demand, now_s)
        if decision.wanted == 0 and replicas:
            assert demand is not None
            assert demand.is_zero
            assert now_s - busy_s >= scaling.cooldown_s
        if demand is not None and not demand.is_zero:
            assert decision.wanted >= 1
        replicas = decision.wanted


@given(
    scaling=scalings(),
    concurrency=concurrencies,
    demand=demands(),
    more=st.integers(1, 5000),
    current=st.integers(0, 50),
)
@settings(deadline=None, max_examples=300)
def test_more_tasks_in_line_never_call_for_fewer_workers(
    scaling: Scaling, concurrency: int, demand: Demand, more: int, current: int
) -> None:
    in_time = replace(demand, oldest_age_s=min(demand.oldest_age_s, scaling.target_latency_s))

    def wanted(demand: Demand) -> int:
        return Queue(scaling, concurrency, current).decide(demand, 1000.0).wanted

    base = wanted(in_time)
    assert wanted(replace(in_time, waiting=in_time.waiting + more)) >= base
    assert wanted(replace(in_time, due_soon=in_time.due_soon + more)) >= base
    assert wanted(replace(in_time, orphaned=in_time.orphaned + more)) >= base


@given(scaling=scalings(), concurrency=concurrencies, demand=demands(), age_s=st.floats(0, 1000))
@settings(deadline=None, max_examples=150)
def test_tasks_that_wait_longer_never_call_for_fewer_workers(
    scaling: Scaling, concurrency: int, demand: Demand, age_s: float
) -> None:
    def wanted(demand: Demand) -> int:
        queue = Queue(scaling, concurrency, min(5, scaling.max_replicas))
        for second in range(3):
            last = queue.decide(demand, 1000.0 + second * scaling.target_latency_s)
        return last.wanted

    assert wanted(replace(demand, oldest_age_s=demand.oldest_age_s + age_s)) >= wanted(demand)


@given(scaling=scalings(), concurrency=concurrencies, demand=demands(), replicas=st.integers(0, 100))
@settings(deadline=None, max_examples=150)
def test_no_worker_is_wanted_beyond_one_slot_for_each_task_there_is_or_comes_within_the_target(
    scaling: Scaling, concurrency: int, demand: Demand, replicas: int
) -> None:
    """However wrong the estimate of the run time is."""
    queue = Queue(replace(scaling, min_replicas=0, cooldown_s=0.0), concurrency, 0)
    for second in range(3):
        last = queue.decide(demand, 1000.0 + second * scaling.target_latency_s)
    coming = min(demand.arrivals_per_s, demand.flow_per_s) * scaling.target_latency_s
    spread = (2 * demand.arrivals_per_s * scaling.target_latency_s) ** 0.5
    tasks = demand.backlog + demand.busy + coming + spread
    assert last.wanted <= tasks / concurrency + 1


@given(scaling=scalings(), concurrency=concurrencies, demand=demands(), replicas=st.integers(0, 100))
@settings(deadline=None, max_examples=150)
def test_the_same_demand_over_and_over_is_answered_by_the_same_number(
    scaling: Scaling, concurrency: int, demand: Demand, replicas: int
) -> None:
    in_time = replace(demand, oldest_age_s=min(demand.oldest_age_s, scaling.target_latency_s))
    queue = Queue(scaling, concurrency, min(replicas, scaling.max_replicas))
    step_s = max(1.0, scaling.cooldown_s / 20)
    wishes = [queue.decide(in_time, 1000.0 + look * step_s).wanted for look in range(60)]
    assert len(set(wishes[30:])) == 1
    changes = [later - earlier for earlier, later in itertools.pairwise(wishes) if later != earlier]
    assert all(change > 0 for change in changes) or all(change < 0 for change in changes)
