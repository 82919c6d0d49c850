"""The verdict of a crash test: what became of each task, and which kill explains what was repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.recovery import Spread, aftermaths
from ferryman.crashtest.standstill import strikes_of
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import Fate, LastSeen, Verdict, judge
from ferryman.task import TaskState

ACCEPTED_MS = 1_000.0
DONE = LastSeen(TaskState.COMPLETED)
NOWHERE = LastSeen(None)


def run(
    process: str,
    start: float,
    end: float | None = None,
    ending: Ending | None = None,
    *,
    attempt: int = 1,
    in_loop: bool = False,
) -> Execution:
    """An execution of the task `t`; with an end it came to it, unless `ending` says otherwise."""
    how = ending or (Ending.CUT if end is None else Ending.END)
    return Execution("t", f"{process}/{start}", attempt, process, 100, start, end, how, in_loop)


def verdict(*runs: Execution, strikes: Sequence[Strike] = (), final: LastSeen = DONE, unaccounted: int = 0) -> Verdict:
    return judge({"t": ACCEPTED_MS}, runs, strikes, {"t": final}, unaccounted)


KILL = Strike(1, "sigkill", "w0.1", 5_000, 5_010, hits="w0.1")
PAUSE = Strike(2, "pause", "w0.1", 5_000, 25_000, hits="w0.1")
#: Its grace is over after two seconds.
TERM = Strike(3, "sigterm", "w0.1", 5_000, 7_100, hits="w0.1", gently=True, stops_at_ms=7_000)
#: It is told a second time after half a second.
HURRIED = replace(TERM, kind="sigterm-twice", stops_at_ms=5_500)
#: All that it ran has ended within its grace.
IN_TIME = replace(TERM, to_ms=6_000)
SCHEDULER = Strike(4, "scheduler", "s0.1", 5_000, 5_010)
ALWAYS = Strike(5, "redis", "redis", 5_000, 6_000, is_outage=True)
EVERYSEC = Strike(6, "redis", "redis", 5_000, 6_000, is_outage=True, forgets_ms=2_000)

OUTAGE_FOR_ALL = Strike(7, "redis", "redis", 5_000, 22_500, hits="*", is_outage=True, back_ms=20_000)
#: The link of w0.1 fails for three seconds, and is then as before.
LINK = Strike(8, "link-lost-reply", "w0.1", 5_000, 8_000, slows="w0.1")
LINKS = Strike(9, "link-cut", "everybody", 5_000, 5_001, slows="*")
#: For a worker timeout of 15 s; the promise runs out at 20 s, and the link is back at 24 s.
DOWN = Strike(10, "link-down", "w0.1", 5_000, 22_500, hits="w0.1", stops_first=True, slows="w0.1", back_ms=24_000)

CUT = run("w0.1", 4_900)
AGAIN = run("w1.1", 7_000, 7_050)


@pytest.mark.parametrize(
    ("runs", "final", "fate"),
    [
        ([run("w0.1", 2_000, 2_050)], DONE, Fate.DONE_ONCE),
        ([run("w0.1", 2_000, 2_050)], NOWHERE, Fate.DONE_ONCE),
        ([run("w0.1", 2_000, 2_050), AGAIN], DONE, Fate.DONE_AGAIN),
        ([], LastSeen(TaskState.WAITING), Fate.WAITING),
        ([], LastSeen(TaskState.DELAYED), Fate.DELAYED),
        ([], LastSeen(TaskState.BLOCKED), Fate.BLOCKED),
        ([run("w0.1", 2_000)], LastSeen(TaskState.ACTIVE), Fate.ACTIVE),
        ([run("w0.1", 2_000)], LastSeen(TaskState.DEAD, crashes=3), Fate.DEAD),
        # It ended, yet it is going to run again: what Redis says counts.
        ([run("w0.1", 2_000, 2_050)], LastSeen(TaskState.WAITING), Fate.WAITING),
        ([], NOWHERE, Fate.LOST),
        ([run("w0.1", 2_000)], NOWHERE, Fate.LOST),
        ([run("w0.1", 2_000, 2_050, Ending.STOPPED)], NOWHERE, Fate.LOST),
        # Counted as done, and no run of it ever came to its end.
        ([], DONE, Fate.LOST),
        ([run("w0.1", 2_000, 2_050, Ending.FAILED)], DONE, Fate.LOST),
    ],
)
def test_what_became_of_a_task(runs: list[Execution], final: LastSeen, fate: Fate) -> None:
    assert verdict(*runs, final=final).fates == {"t": fate}


@pytest.mark.parametrize(
    ("first", "strikes", "unexplained"),
    [
        pytest.param(CUT, (), 1, id="nothing was killed"),
        pytest.param(CUT, (KILL,), 0, id="cut off by the kill of its process"),
        pytest.param(CUT, (SCHEDULER,), 1, id="a scheduler's death explains nothing"),
        pytest.param(run("w2.1", 4_900), (KILL,), 1, id="another process was killed"),
        pytest.param(run("w0.1", 5_200), (KILL,), 1, id="started after the kill, by a process that was dead"),
        pytest.param(run("w0.1", 4_900, 4_990), (KILL,), 0, id="ended just before the kill, not told yet"),
        pytest.param(run("w0.1", 1_900, 2_000), (KILL,), 1, id="ended 3 s before the kill: Redis had been told"),
        pytest.param(run("w0.1", 4_900, 25_030), (PAUSE,), 0, id="slept through the pause"),
        pytest.param(run("w0.1", 24_990, 24_995, Ending.STOPPED), (PAUSE,), 0, id="woke up and was stopped"),
        pytest.param(run("w0.1", 25_500, 25_600), (PAUSE,), 1, id="started after it had to be fenced"),
        pytest.param(run("w0.1", 4_900, 7_010, Ending.STOPPED), (TERM,), 0, id="stopped at the end of the grace"),
        pytest.param(run("w0.1", 4_900, 5_100, Ending.STOPPED), (TERM,), 1, id="and not before it"),
        pytest.param(run("w0.1", 4_900), (TERM,), 0, id="a child that was killed at the end of the grace"),
        pytest.param(run("w0.1", 4_900), (IN_TIME,), 1, id="no child has to be killed within the grace"),
        pytest.param(run("w0.1", 4_900, 5_100), (TERM,), 1, id="a worker that is told to end must tell what it did"),
        pytest.param(run("w0.1", 4_900, 5_100), (TERM, ALWAYS), 0, id="unless there is no Redis to tell"),
        pytest.param(run("w0.1", 4_900, 7_050), (TERM,), 0, id="a thread that ended when it was stopped"),
        pytest.param(run("w0.1", 4_900, 5_510, Ending.STOPPED), (HURRIED,), 0, id="stopped at the second signal"),
        pytest.param(run("w0.1", 4_900), (HURRIED,), 0, id="a child that was killed at the second signal"),
        pytest.param(run("w0.1", 4_900, 5_510), (HURRIED,), 0, id="stopped after its last line, before it returned"),
        pytest.param(run("w0.1", 4_900, 5_300), (HURRIED,), 0, id="which takes its time on a busy machine"),
        pytest.param(run("w0.1", 4_100, 4_900), (HURRIED,), 1, id="and this one had returned before it was stopped"),
        pytest.param(run("w0.1", 4_900, 5_510, in_loop=True), (HURRIED,), 1, id="a coroutine's last line is its end"),
        pytest.param(run("w0.1", 4_900, 4_950), (ALWAYS,), 1, id="a Redis that forgets nothing explains nothing"),
        pytest.param(run("w0.1", 3_500, 3_550), (EVERYSEC,), 0, id="its completion was within what Redis may forget"),
        pytest.param(run("w0.1", 1_500, 1_550), (EVERYSEC,), 1, id="and this one was not"),
        pytest.param(
            run("w0.1", 2_900, 3_000),
            (Strike(1, "redis", "redis", 2_950, 4_500, is_outage=True), KILL),
            0,
            id="killed while Redis had been away since its end",
        ),
        pytest.param(run("w0.1", 4_900, 5_100), (LINK,), 1, id="a lost reply is answered by sending again"),
        pytest.param(run("w0.1", 4_900, 5_100, Ending.STOPPED), (LINK,), 1, id="nor may it stop a task"),
        pytest.param(run("w0.1", 4_900, 5_100), (LINKS,), 1, id="nor when everybody's connections are reset"),
        pytest.param(
            run("w0.1", 4_900, 5_100),
            (LINK, Strike(1, "sigkill", "w0.1", 8_500, 8_510, hits="w0.1")),
            0,
            id="killed before it could tell, for its link had failed",
        ),
        pytest.param(
            run("w0.1", 4_900, 5_100),
            (LINK, Strike(1, "sigkill", "w0.1", 9_500, 9_510, hits="w0.1")),
            1,
            id="killed when its link was back for long enough",
        ),
        pytest.param(
            run("w0.1", 4_900, 5_100),
            (Strike(8, "link-slow", "w1.1", 5_000, 8_000, slows="w1.1"), Strike(1, "", "", 8_500, 8_510, hits="w0.1")),
            1,
            id="the link of another one had failed",
        ),
        pytest.param(run("w0.1", 4_900, 5_100), (DOWN,), 0, id="ended, and there was nobody to tell"),
        pytest.param(run("w0.1", 19_900, 20_100, Ending.STOPPED), (DOWN,), 0, id="stopped when the promise ran out"),
        pytest.param(run("w0.1", 22_600, 22_700), (DOWN,), 1, id="started when it was no longer the owner"),
        pytest.param(run("w0.1", 4_000, 4_100, Ending.STOPPED), (DOWN,), 1, id="stopped before the link was down"),
        pytest.param(run("w0.1", 4_900, 19_900), (OUTAGE_FOR_ALL,), 0, id="Redis was away for all of the promise"),
    ],
)
def test_a_repeat_needs_a_kill_that_explains_it(first: Execution, strikes: Sequence[Strike], unexplained: int) -> None:
    found = verdict(first, run("w1.1", 30_000, 30_050), strikes=strikes)
    assert found.unexplained == unexplained
    assert found.kept == (not unexplained)


@pytest.mark.parametrize(
    ("first", "gap", "unexplained"),
    [
        pytest.param(run("w0.1", 1_900, 2_000), (4_000.0, 4_100.0), 1, id="that was no standstill"),
        pytest.param(run("w0.1", 1_900, 2_000), (2_000.0, 4_600.0), 0, id="Redis answered nobody since its end"),
        pytest.param(run("w0.1", 1_900, 2_000), (1_500.0, 4_200.0), 0, id="nor long enough before the kill"),
        pytest.param(run("w0.1", 1_900, 2_000), (1_500.0, 2_500.0), 1, id="there was time to tell after it"),
    ],
)
def test_what_a_machine_that_stands_still_held_up_is_told_late(
    first: Execution, gap: tuple[float, float], unexplained: int
) -> None:
    found = verdict(first, AGAIN, strikes=(KILL, *strikes_of([gap], (KILL,), 15_000)))
    assert found.unexplained == unexplained


def test_a_standstill_alone_explains_nothing_unless_no_promise_could_be_kept() -> None:
    stopped = run("w0.1", 4_900, 14_000, Ending.STOPPED)
    for timeout_ms, unexplained in ((15_000, 1), (10_000, 0)):
        strikes = strikes_of([(5_000.0, 13_500.0)], (), timeout_ms)
        assert verdict(stopped, run("w1.1", 15_000, 15_050), strikes=strikes).unexplained == unexplained


def test_standstills_with_a_single_answer_between_them_are_one() -> None:
    [one, other] = strikes_of([(5_000.0, 6_150.0), (6_150.0, 6_800.0), (7_500.0, 8_100.0)], (), 2_000)
    assert (one.from_ms, one.back_ms, one.hits) == (5_000, 6_800, "*")
    assert (other.from_ms, other.back_ms, other.hits) == (7_500, 8_100, "")


def test_an_outage_that_was_made_on_purpose_is_no_standstill() -> None:
    [one] = strikes_of([(4_900.0, 8_000.0)], (ALWAYS,), 15_000)
    assert (one.from_ms, one.back_ms, one.number) == (6_000, 8_000, 0)
    assert strikes_of([(4_900.0, 6_100.0)], (ALWAYS,), 15_000) == []


@pytest.mark.parametrize(
    ("first", "strike", "beside"),
    [
        pytest.param(run("w0.1", 4_900, 20_000, Ending.STOPPED), DOWN, 0, id="stopped before"),
        pytest.param(run("w0.1", 4_900, 21_500, Ending.STOPPED), DOWN, 1, id="stopped too late"),
        pytest.param(run("w0.1", 4_900), DOWN, 0, id="nobody knows when it ended"),
        pytest.param(
            run("w0.1", 4_900, 21_500), Strike(2, "pause", "w0.1", 5_000, 25_000, hits="w0.1"), 0, id="it could not"
        ),
    ],
)
def test_a_worker_that_can_stop_its_code_has_done_so_before_its_tasks_run_elsewhere(
    first: Execution, strike: Strike, beside: int
) -> None:
    found = verdict(first, run("w1.1", 21_000, 21_050), strikes=(strike,))
    assert (found.unexplained, found.beside, found.kept) == (0, beside, not beside)


def test_the_repeat_names_its_kill() -> None:
    [repeat] = verdict(CUT, AGAIN, strikes=(SCHEDULER, KILL)).repeats
    assert (repeat.kills, len(repeat.executions)) == ((KILL.number,), 2)


def test_each_repeat_needs_a_kill_of_its_own() -> None:
    found = verdict(CUT, run("w1.1", 7_000), run("w2.1", 8_000, 8_050), strikes=(KILL,))
    assert found.unexplained == 1


def test_a_retry_is_no_repeat_and_needs_no_kill() -> None:
    found = verdict(run("w0.1", 2_000, 2_050, Ending.FAILED), run("w1.1", 3_000, 3_050, attempt=2))
    assert (found.repeats, found.kept) == ([], True)


def test_a_failed_attempt_may_not_run_twice_either() -> None:
    failed = run("w0.1", 2_000, 2_050, Ending.FAILED)
    again = run("w1.1", 2_100, 2_150, Ending.FAILED)
    assert verdict(failed, again, run("w1.1", 3_000, 3_050, attempt=2)).unexplained == 1


@pytest.mark.parametrize(
    ("first", "strikes", "unexplained"),
    [
        pytest.param(run("w0.1", 4_900, 4_990), (), 1, id="it was done"),
        pytest.param(run("w0.1", 4_900, 4_990, Ending.STOPPED), (), 1, id="it was stopped by nobody"),
        pytest.param(CUT, (), 1, id="it was cut off by nothing"),
        pytest.param(CUT, (KILL,), 0, id="it was cut off by a kill"),
        pytest.param(run("w0.1", 4_900, 4_990, Ending.FAILED), (), 0, id="it failed, as planned"),
    ],
)
def test_only_a_failure_or_a_kill_leads_to_the_next_attempt(
    first: Execution, strikes: Sequence[Strike], unexplained: int
) -> None:
    found = verdict(first, run("w1.1", 9_000, 9_050, attempt=2), strikes=strikes)
    assert (found.unexplained, found.kept) == (unexplained, not unexplained)


@pytest.mark.parametrize(
    ("accepted_ms", "strike", "fate"),
    [
        (4_000.0, EVERYSEC, Fate.FORGOTTEN),
        (2_500.0, EVERYSEC, Fate.LOST),
        (4_000.0, ALWAYS, Fate.LOST),
        (4_000.0, KILL, Fate.LOST),
    ],
)
def test_redis_may_lose_only_what_it_acknowledged_within_its_bound(
    accepted_ms: float, strike: Strike, fate: Fate
) -> None:
    found = judge({"t": accepted_ms}, [], [strike], {"t": NOWHERE}, 0)
    assert found.fates["t"] is fate
    assert found.kept == (fate is Fate.FORGOTTEN)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (verdict(final=NOWHERE), "1 lost"),
        (verdict(AGAIN, unaccounted=-2), "2 unaccounted for by Redis' own counters"),
        (verdict(CUT, AGAIN), "1 executions that no kill explains"),
        (verdict(final=LastSeen(TaskState.WAITING)), "1 tasks not done in time"),
        (verdict(final=LastSeen(TaskState.DEAD)), "1 dead without a crash of their own"),
        (judge({"t": 1}, [AGAIN], [], {"t": DONE}, 0, refused=3), "3 tasks that could not be enqueued"),
        (judge({"t": 1}, [AGAIN], [], {"t": DONE}, 0, damaged_lines=1), "1 damaged lines in the execution log"),
        (judge({}, [AGAIN], [], {}, 0), "1 ids in the execution log that nobody enqueued"),
    ],
)
def test_a_promise_that_was_not_kept_is_named(found: Verdict, problem: str) -> None:
    assert found.problems == [problem]


def test_a_task_whose_crashes_ended_it_is_no_problem() -> None:
    assert verdict(CUT, final=LastSeen(TaskState.DEAD, crashes=3)).kept


def test_recovery_is_measured_from_the_kill_to_the_next_start() -> None:
    [kill, scheduler] = aftermaths([CUT, AGAIN, run("w2.1", 4_000, 9_000)], [KILL, SCHEDULER])
    assert (kill.in_flight, kill.waits_s) == (1, [2.0])
    assert (scheduler.in_flight, scheduler.waits_s) == (0, [])


def test_a_fault_that_interrupts_nothing_counts_what_ran_beside_it() -> None:
    beside = run("w0.1", 4_900, 5_100)
    [link, everybody] = aftermaths([beside, run("w1.1", 4_900, 5_100)], [LINK, LINKS])
    assert (link.in_flight, link.waits_s, everybody.in_flight) == (1, [], 2)


def test_what_ends_by_itself_after_a_sigterm_waits_for_no_recovery() -> None:
    failed = run("w0.1", 4_900, 5_100, Ending.FAILED)
    [term] = aftermaths([failed, run("w1.1", 6_100, 6_150, attempt=2)], [TERM])
    assert (term.in_flight, term.waits_s) == (1, [])


def test_the_spread_shows_measured_values() -> None:
    assert Spread.of([float(n) for n in range(1, 201)]) == Spread(200, 100.0, 198.0, 200.0)
    assert Spread.of([]) == Spread(0, 0.0, 0.0, 0.0)


def of(task_id: str, start: float, end: float) -> Execution:
    return Execution(task_id, f"w0.1/{start}", 1, "w0.1", 100, start, end, Ending.END)


@pytest.mark.parametrize(
    ("join", "released", "problem"),
    [
        (of("join", 2_200, 2_300), 1, ""),
        (of("join", 2_200, 2_300), 2, "1 nodes of workflows that were not released exactly once"),
        (of("join", 2_200, 2_300), 0, "1 nodes of workflows that were not released exactly once"),
        (of("join", 2_050, 2_300), 1, "1 nodes of workflows that began before those that they wait for had ended"),
    ],
)
def test_a_join_is_released_once_and_begins_after_all_that_it_waits_for(
    join: Execution, released: int, problem: str
) -> None:
    runs = [of("a", 2_000, 2_010), of("b", 2_000, 2_100), join]
    finals = {"a": DONE, "b": DONE, "join": LastSeen(TaskState.COMPLETED, released=released)}
    found = judge(dict.fromkeys(finals, ACCEPTED_MS), runs, (), finals, 0, joins={"join": ("a", "b")})
    assert list(found.problems) == ([problem] if problem else [])
    assert found.released_once == int(released == 1)
