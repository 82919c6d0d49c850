"""What a crash test proves of schedules, unique keys and lanes; and what can't be proved is not held against it."""

from __future__ import annotations

import pytest

from ferryman.crashtest.bursts import BURST, Answer, Way, plan_bursts
from ferryman.crashtest.claims import Asked, Findings, examine, late_comers
from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import LastSeen
from ferryman.task import TaskState

DONE = LastSeen(TaskState.COMPLETED)
NOWHERE = LastSeen(None)
KILL = Strike(1, "sigkill", "w0.1", 5_000, 5_010, hits="w0.1")
TERM = Strike(2, "sigterm", "w0.1", 5_000, 6_000, hits="w0.1", gently=True, stops_first=True)
EVERYSEC = Strike(3, "redis", "redis", 5_000, 6_000, is_outage=True, forgets_ms=2_000)


def run(
    task_id: str, start: float, end: float | None = None, ending: Ending = Ending.END, process: str = "w0.1"
) -> Execution:
    how = Ending.CUT if end is None else ending
    return Execution(task_id, f"{task_id}/{process}/{start}", 1, process, 100, start, end, how)


def found(
    asked: Asked, *runs: Execution, strikes: tuple[Strike, ...] = (), finals: dict[str, LastSeen] | None = None
) -> Findings:
    known = dict.fromkeys({run.id for run in runs}, DONE) | (finals or {})
    return examine(asked, runs, strikes, known, sum(1 for one in known.values() if one.state), 0)


OCCURRENCES = Asked(schedules=("tick",), due={"tick:1": 1_000.0, "tick:2": 2_000.0}, beyond={"tick:3": 3_000.0})


def test_each_occurrence_that_was_due_is_fired_once_and_another_one_may_be() -> None:
    good = found(OCCURRENCES, run("tick:1", 1_001, 1_002), run("tick:2", 2_001, 2_002), run("tick:3", 3_001, 3_002))
    assert (good.occurrences, good.problems) == (2, [])
    assert list(good.lines()) == ["1 schedules: of 2 occurrences that were due 2 were fired, each exactly once."]


def test_an_occurrence_without_a_task_was_missed() -> None:
    bad = found(OCCURRENCES, run("tick:1", 1_001, 1_002), finals={"tick:2": NOWHERE})
    assert bad.problems == ["1 occurrences of schedules that were never fired"]


def test_a_second_task_of_an_occurrence_was_fired_twice() -> None:
    runs = [run(one, 2_001, 2_002) for one in ("tick:1", "tick:2", "tick:2.again")]
    assert found(OCCURRENCES, *runs).problems == ["1 occurrences of schedules that were fired twice"]


def test_a_task_that_redis_counts_and_nobody_asked_for_is_surplus() -> None:
    assert examine(Asked(), (), (), {"t": DONE}, 2, 0).problems == ["1 tasks that Redis counts and nobody enqueued"]


def answer(task_id: str, sent: float, answered: float, window: int | None = None, *, created: bool = True) -> Answer:
    return Answer(task_id, "key", window, sent, answered, created)


@pytest.mark.parametrize(
    ("first", "second", "runs", "strikes", "together"),
    [
        pytest.param(answer("a", 0, 10), answer("b", 20, 30), [run("a", 40, 50)], (), 1, id="before the first ended"),
        pytest.param(answer("a", 0, 10), answer("b", 60, 70), [run("a", 40, 50)], (), 0, id="after its end"),
        pytest.param(answer("a", 0, 10), answer("b", 40, 70), [run("a", 40, 50)], (), 0, id="perhaps after its end"),
        pytest.param(answer("a", 0, 10), answer("b", 0, 10), [run("a", 40, 50), run("b", 40, 50)], (), 1, id="a batch"),
        pytest.param(answer("a", 0, 10), answer("b", 20, 30, created=False), [run("a", 40, 50)], (), 0, id="kept out"),
        pytest.param(
            answer("a", 0, 10),
            answer("b", 45, 46),
            [run("a", 40, 44, Ending.FAILED), run("a", 60, 70)],
            (),
            1,
            id="between two attempts",
        ),
        pytest.param(answer("a", 0, 10, 400), answer("b", 300, 350, 400), [], (), 1, id="within the window"),
        pytest.param(answer("a", 0, 10, 400), answer("b", 350, 410, 400), [], (), 0, id="perhaps after the window"),
        pytest.param(answer("a", 0, 4_000), answer("b", 6_100, 6_200), [], (), 1, id="it never ran"),
        pytest.param(answer("a", 0, 4_000), answer("b", 6_100, 6_200), [], (EVERYSEC,), 0, id="Redis forgot the first"),
    ],
)
def test_two_tasks_with_one_key_at_once_are_proved(
    first: Answer, second: Answer, runs: list[Execution], strikes: tuple[Strike, ...], together: int
) -> None:
    finals = {"a": DONE, "b": DONE}
    own = examine(Asked(answers=(first, second)), runs, strikes, finals, 2, 0)
    assert own.unique_together == together
    assert own.unique_created == 1 + second.created


@pytest.mark.parametrize(
    ("kind", "answered", "created", "late"),
    [
        ("link-producer", 5_100, False, True),
        ("link-producer", 5_100, True, False),
        ("link-producer", 3_100, False, False),
        ("link-cut", 5_100, False, False),
    ],
)
def test_what_was_sent_again_may_come_late_and_then_find_its_key_free(
    kind: str, answered: float, created: bool, late: bool
) -> None:
    strike = Strike(4, kind, "producer (link-half-open)", 5_000, 6_000)
    own = answer("a", answered - 50, answered, created=created)
    assert late_comers([own], [strike], {"a"}) == ({"a": answered} if late else {})
    assert late_comers([own], [strike], set()) == {}


LANES = Asked(lanes={"a": "x", "b": "x", "c": "x", "d": "y"}, lane_limit=2)


@pytest.mark.parametrize(
    ("third", "strikes", "most", "over"),
    [
        pytest.param(run("c", 5_100, 5_200, process="w1.1"), (), 3, 1, id="a third one of the lane"),
        pytest.param(run("d", 5_100, 5_200, process="w1.1"), (), 2, 0, id="of another lane"),
        pytest.param(run("c", 9_000, 9_100, process="w1.1"), (), 2, 0, id="when the others have ended"),
        pytest.param(run("c", 5_100, 5_200, process="w1.1"), (KILL,), 2, 0, id="when their worker is dead"),
        pytest.param(run("c", 5_100, 5_200, process="w1.1"), (TERM,), 3, 1, id="when it was only asked to end"),
        pytest.param(run("c", 5_100, 5_200, process="w1.1"), (EVERYSEC,), 2, 0, id="when Redis may have forgotten"),
        pytest.param(run("c", 4_950, 5_200, process="w1.1"), (KILL,), 3, 1, id="before their worker died"),
    ],
)
def test_more_of_a_lane_at_once_than_may_run_are_told(
    third: Execution, strikes: tuple[Strike, ...], most: int, over: int
) -> None:
    both = [run("a", 4_800, 8_000), run("b", 4_900, 8_000)]
    own = found(LANES, *both, third, strikes=strikes)
    assert (own.lane_most, own.lane_over, bool(own.problems)) == (most, over, bool(over))


def test_a_lane_that_is_left_in_the_end_is_told() -> None:
    left = examine(LANES, (), (), {}, 0, 1)
    assert left.problems == ["1 lanes that Redis keeps although nothing is left in them"]
    assert "1 left in the lanes" in next(left.lines())


def test_bursts_have_their_keys_in_turn_and_grow_with_the_tasks() -> None:
    bursts = plan_bursts(1_000, 50)
    assert len(bursts) == 20
    assert {burst.way for burst in bursts} == set(Way)
    assert len({one for burst in bursts for one in burst.ids}) == 20 * BURST
    assert len({burst.key for burst in bursts}) == 2 * len(Way)
    assert [len(plan_bursts(count, 50)) for count in (1, 10_000_000)] == [4, 1_000]
