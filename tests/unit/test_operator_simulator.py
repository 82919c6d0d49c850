"""Ferryman's autoscaler beside KEDA's on simulated loads, and what the operator promises about bursts."""

from __future__ import annotations

import itertools

import pytest
from ferryman_operator.autoscaler import Reason
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scaling_simulator.comparison import ferryman, keda, measure
from scaling_simulator.ferryman import DEFAULTS, POLL_S, Ferryman
from scaling_simulator.fleet import GRACE_S, NOT_READY_AFTER_S, START_S, Fleet, Task
from scaling_simulator.keda import Keda
from scaling_simulator.replay import replay
from scaling_simulator.shapes import SHAPES, Shape

SEEDS = range(1, 4)

#: How many of KEDA's pod-seconds Ferryman may use. See the note under the table of benchmarks/scaling_vs_keda.py on
#: slow: KEDA spends few there, in some loads fewer than Ferryman, because it lets tasks wait and kills busy pods.
POD_SECONDS = {"slow": 1.15}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_tasks_wait_less_than_with_keda_for_no_more_pod_seconds(shape: Shape) -> None:
    ours, theirs = measure(shape, (ferryman, keda), SEEDS)
    for our, their in zip(ours.outcomes, theirs.outcomes, strict=True):
        assert our.wait_s(0.95) < their.wait_s(0.95) / 2
        assert our.wait_s(1.0) < their.wait_s(1.0)
        assert our.interrupted == 0
    assert ours.pod_seconds <= POD_SECONDS.get(shape.name, 0.9) * theirs.pod_seconds
    assert ours.turns <= theirs.turns


def test_slow_pods_leave_the_order_as_it_is() -> None:
    shape = next(shape for shape in SHAPES if shape.name == "mixed")
    ours, theirs = measure(shape, (ferryman, keda), SEEDS[:1], start_s=15.0)
    assert ours.wait_s(0.95) < theirs.wait_s(0.95) / 2
    assert ours.pod_seconds < theirs.pod_seconds / 2


def wishes(scaler: Ferryman) -> list[int]:
    """The wanted replicas, each time that they changed."""
    wanted = [decision.wanted for _, decision in scaler.decisions]
    return [after for before, after in itertools.pairwise([0, *wanted]) if before != after]


@pytest.mark.parametrize("known_s", [1.0, None], ids=["known tasks", "the first tasks ever"])
@pytest.mark.parametrize("after_a_pass_s", [0.01, 0.5, 0.99])
def test_a_burst_of_2000_tasks_gets_its_final_size_in_one_step(known_s: float | None, after_a_pass_s: float) -> None:
    burst_s = 10 + after_a_pass_s
    scaler = Ferryman(service_s=known_s)
    outcome = replay([(burst_s, 1.0)] * 2000, 120, scaler)
    assert wishes(scaler) == [20, 0]
    reacted_s = next(at_s for at_s, decision in scaler.decisions if decision.wanted)
    assert reacted_s - burst_s <= 2
    assert outcome.done_s - burst_s <= 14


@pytest.mark.parametrize("pause_s", [10, 20, 45, 100])
def test_the_same_burst_five_times_in_a_row_does_not_flap(pause_s: float) -> None:
    """1,000 tasks of 0.1 s in 5 s are 20 slots, two workers. Less is wanted only after each whole cooldown."""
    scaler = Ferryman(service_s=0.1)
    load = [(10.3 + pause_s * burst, 0.1) for burst in range(5) for _ in range(1000)]
    outcome = replay(load, 10 + 5 * pause_s + 120, scaler)
    wanted = [0, *wishes(scaler)]
    growths = [(before, after) for before, after in itertools.pairwise(wanted) if after > before]
    apart = pause_s > DEFAULTS.cooldown_s + 20
    assert growths == [(0, 2)] * (5 if apart else 1)
    assert wanted[-1] == 0
    assert outcome.interrupted == 0
    assert outcome.wait_s(1.0) <= DEFAULTS.target_latency_s + POLL_S + START_S


def test_tasks_far_longer_than_any_before_get_a_slot_each_before_one_has_ended() -> None:
    scaler = Ferryman(service_s=0.1)
    outcome = replay([(10.3, 60.0)] * 100, 300, scaler)
    assert max(wishes(scaler)) == 10
    assert outcome.wait_s(1.0) <= 3 * DEFAULTS.target_latency_s


def test_a_queue_that_keeps_up_is_not_idle() -> None:
    """No task ever waits, and KEDA takes the only worker away; here one stays."""
    scaler = Ferryman(service_s=1.0)
    load = [(second + 0.4, 1.0) for second in range(1, 900)]
    outcome, theirs = replay(load, 900, scaler), replay(load, 900, Keda())
    assert wishes(scaler) == [1]
    assert outcome.wait_s(0.99) == 0
    assert theirs.turns > 1


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    rate=st.floats(0.05, 12),
    service_s=st.floats(0.05, 15),
    concurrency=st.integers(1, 20),
    known=st.booleans(),
)
def test_a_constant_load_gets_a_constant_number_of_workers(
    rate: float, service_s: float, concurrency: int, known: bool
) -> None:
    load = [(number / rate, service_s) for number in range(1, int(rate * 400))]
    scaler = Ferryman(service_s=service_s if known else None)
    replay(load, 400, scaler, concurrency=concurrency)
    late = [decision.wanted for at_s, decision in scaler.decisions if at_s >= 250]
    assert len(set(late)) == 1, late
    assert late[0] >= min(DEFAULTS.max_replicas, rate * service_s / concurrency - 0.05)


def test_the_simulated_keda_does_what_the_real_one_did() -> None:
    """KEDA 2.21.0 with its defaults, on a real cluster: 4, 8, 16 pods after 15, 30, 45 s, done after 48 s."""
    fleet = Fleet([Task(0.0, 1.0) for _ in range(2000)], concurrency=10)
    scaler = Keda(as_measured=True)
    while fleet.runs < 2000:
        fleet.advance(fleet.now_s + 0.25 if fleet.arrived else 0.0)
        scaler.turn(fleet)
    assert fleet.history == [(0.0, 0), (0.0, 1), (15.0, 4), (30.0, 8), (45.0, 16)]
    assert fleet.now_s == pytest.approx(48, abs=1)


def test_the_simulated_keda_keeps_what_it_wanted_in_the_last_300_s() -> None:
    fleet = Fleet([Task(0.0, 1.0) for _ in range(600)], concurrency=10)
    scaler = Keda()
    last_s = 0.0
    while fleet.replicas or not fleet.runs:
        fleet.advance(fleet.now_s + 0.25 if fleet.arrived else 0.0)
        last_s = fleet.now_s if fleet.waiting else last_s
        scaler.turn(fleet)
    replicas = [count for _, count in fleet.history]
    assert replicas[:-1] == sorted(replicas[:-1])  # never fewer before the end
    assert 300 - scaler.spec.polling_s <= fleet.now_s - last_s <= 300 + scaler.spec.polling_s


class TestFleet:
    """What both scalers work on."""

    def test_tasks_are_started_in_order_of_arrival_by_whoever_is_free(self) -> None:
        tasks = [Task(0.0, 1.0), Task(0.1, 1.0), Task(0.2, 5.0), Task(0.3, 1.0)]
        fleet = Fleet(tasks, concurrency=2, start_s=1.0)
        fleet.scale(1)
        fleet.advance(10.0)
        assert [task.started_s for task in tasks] == [1.0, 1.0, 2.0, 2.0]
        assert (fleet.runs, fleet.run_ms) == (4, 8000)

    def test_the_end_of_a_busy_pod_interrupts_what_outlasts_its_grace(self) -> None:
        tasks = [Task(0.0, 10.0), Task(0.0, 60.0)]
        fleet = Fleet(tasks, concurrency=2, start_s=0.0)
        fleet.scale(1)
        fleet.advance(5.0)
        fleet.scale(0)
        fleet.advance(6.0)
        assert (fleet.interrupted, fleet.active) == (1, 1)
        fleet.advance(5.0 + GRACE_S)
        fleet.advance(5.0 + GRACE_S + 1)
        assert (fleet.runs, len(fleet.waiting)) == (1, 1)
        assert fleet.pod_seconds_until_now() == 5.0 + GRACE_S

    def test_a_drained_pod_takes_nothing_and_turns_not_ready_and_may_resume(self) -> None:
        tasks = [Task(1.0, 1.0), Task(1.5, 1.0)]
        fleet = Fleet(tasks, concurrency=1, start_s=0.0)
        fleet.scale(1)
        [pod] = fleet.pods
        fleet.drain(pod)
        fleet.advance(NOT_READY_AFTER_S)
        assert (fleet.active, len(fleet.waiting), pod.is_ready(fleet.now_s)) == (0, 2, False)
        fleet.resume(pod)
        fleet.advance(10.0)
        assert [task.started_s for task in tasks] == [2.0, 3.0]

    def test_pods_that_are_not_ready_go_first_then_the_youngest(self) -> None:
        fleet = Fleet([], concurrency=1, start_s=0.0)
        fleet.scale(2)
        fleet.advance(10.0)
        fleet.scale(3)
        oldest, middle, youngest = fleet.pods
        fleet.drain(oldest)
        fleet.advance(20.0)
        fleet.scale(2)
        assert fleet.pods == [middle, youngest]
        fleet.scale(1)
        assert fleet.pods == [middle]


def test_the_reasons_tell_the_story_of_a_burst() -> None:
    scaler = Ferryman(service_s=0.1)
    replay([(10.3, 0.1)] * 1000, 120, scaler)
    story = [decision.reason for _, decision in scaler.decisions]
    changes = [reason for reason, _ in itertools.groupby(story)]
    assert changes == [Reason.FLOOR, Reason.BACKLOG_DRAIN, Reason.COOLDOWN, Reason.FLOOR]
