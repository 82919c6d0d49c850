"""Claims: what a crash test proves beyond the fate of each task: of schedules, unique keys and lanes. Pure.

Only what can be proved is held against the product. Requests and replies bound when Redis did something, so two tasks
had one key at once only if the earliest end of each lies after the latest moment at which both can have begun; and a
run counts in its lane until a kill may have taken it from its worker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final

from ferryman.crashtest.bursts import Answer
from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.kinds import LINK_PRODUCER
from ferryman.crashtest.reasons import explanations
from ferryman.crashtest.strike import Strike
from ferryman.crashtest.verdict import LastSeen

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. `due`: id of each occurrence's task -> when; `beyond`: the same of those
    before and after, that may be fired, too.

    `schedules` are their names; `lanes`: task id -> its lane; `lane_limit`: how many of one lane may run at once.
    """

    schedules: Sequence[str] = ()
    due: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    beyond: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    answers: Sequence[Answer] = ()
    lanes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lane_limit: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """Counts; those of `_WRONG` must be 0."""

    schedules: int = 0
    occurrences: int = 0  # that were due
    missed: int = 0  # of them, those that no task was enqueued for
    fired_twice: int = 0  # further tasks for an occurrence
    unique_enqueues: int = 0
    unique_keys: int = 0
    unique_created: int = 0  # of the enqueues: those that made a task
    unique_together: int = 0  # tasks that had a key while another one had it
    lanes: int = 0
    lane_tasks: int = 0
    lane_limit: int = 0
    lane_most: int = 0  # that ran at once in one lane
    lane_over: int = 0  # runs that began while their lane was full
    lanes_left: int = 0  # that Redis still keeps in the end, though nothing is left to run
    surplus: int = 0  # tasks in Redis' count of enqueued ones that nobody asked for

    @property
    def problems(self) -> list[str]:
        """Empty when each claim holds."""
        return [f"{getattr(self, name):,} {what}" for name, what in _WRONG.items() if getattr(self, name)]

    def to_json_dict(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """What a person reads."""
        if self.schedules:
            fired = self.occurrences - self.missed
            yield (
                f"{self.schedules} schedules: of {self.occurrences:,} occurrences that were due {fired:,} were fired"
                + (", each exactly once." if not self.fired_twice else f", and {self.fired_twice:,} once more.")
            )
        if self.unique_enqueues:
            together = f"{self.unique_together:,} times" if self.unique_together else "never"
            yield (
                f"{self.unique_enqueues:,} enqueues under {self.unique_keys} unique keys made {self.unique_created:,} "
                f"tasks; {together} did two have one key at once."
            )
        if self.lanes:
            yield (
                f"{self.lane_tasks:,} tasks in {self.lanes} lanes: at most {self.lane_most} of one lane ran at once, "
                f"where {self.lane_limit} may; {self.lanes_left or 'nothing'} left in the lanes."
            )


_WRONG: Final[Mapping[str, str]] = {
    "missed": "occurrences of schedules that were never fired",
    "fired_twice": "occurrences of schedules that were fired twice",
    "unique_together": "tasks that had a unique key while another one had it",
    "lane_over": "runs that began while their lane was full",
    "lanes_left": "lanes that Redis keeps although nothing is left in them",
    "surplus": "tasks that Redis counts and nobody enqueued",
}


def examine(
    asked: Asked,
    executions: Sequence[Execution],
    strikes: Sequence[Strike],
    finals: Mapping[str, LastSeen],
    enqueued: int,
    lanes_left: int,
) -> Findings:
    """`finals` of every id that there may be; `enqueued`: how many tasks Redis says that there were."""
    runs: dict[str, list[Execution]] = defaultdict(list)
    for execution in executions:
        runs[execution.id].append(execution)
    known = {one for one, seen in finals.items() if seen.state is not None}
    occurrences = tuple(f"{name}:" for name in asked.schedules)
    timely = asked.due.keys() | asked.beyond.keys()
    most, over = _crowding(asked, executions, strikes)
    created = [one for one in asked.answers if one.created]
    return Findings(
        schedules=len(asked.schedules),
        occurrences=len(asked.due),
        missed=sum(1 for one in asked.due if one not in known and one not in runs),
        fired_twice=sum(1 for one in runs if occurrences and one.startswith(occurrences) and one not in timely),
        unique_enqueues=len(asked.answers),
        unique_keys=len({one.key for one in asked.answers}),
        unique_created=len(created),
        unique_together=_together(created, runs, strikes),
        lanes=len(set(asked.lanes.values())),
        lane_tasks=len(asked.lanes),
        lane_limit=asked.lane_limit,
        lane_most=most,
        lane_over=over,
        lanes_left=lanes_left,
        surplus=max(0, enqueued - len(known)),
    )


def late_comers(answers: Sequence[Answer], strikes: Sequence[Strike], known: Container[str]) -> dict[str, float]:
    """Of the enqueues that found their key taken those whose task is there all the same, and when they were answered.

    A half-open connection may bring the first copy of what was sent again, when the key has become free.
    """
    return {
        one.id: one.answered_ms
        for one in answers
        if not one.created and one.id in known and any(_delays(strike, one) for strike in strikes)
    }


def _delays(strike: Strike, answer: Answer) -> bool:
    on_the_way = strike.from_ms <= answer.answered_ms and answer.sent_ms <= strike.to_ms
    return strike.kind == LINK_PRODUCER and on_the_way


def _together(created: Sequence[Answer], runs: Mapping[str, Sequence[Execution]], strikes: Sequence[Strike]) -> int:
    """Tasks that were made while another one must have had their key."""
    by_key: dict[str, list[Answer]] = defaultdict(list)
    for one in created:
        if not _may_be_forgotten(one, strikes):
            by_key[one.key].append(one)
    twice = {
        max(pair, key=lambda one: (one.answered_ms, one.id)).id
        for same in by_key.values()
        for pair in combinations(same, 2)
        if max(one.answered_ms for one in pair) < min(_held_until_ms(one, runs.get(one.id, ())) for one in pair)
    }
    return len(twice)


def _held_until_ms(answer: Answer, runs: Sequence[Execution]) -> float:
    """Until then it had its key, at least."""
    if answer.window_ms is not None:
        return answer.sent_ms + answer.window_ms
    ends_ms = [run.end_ms for run in runs if run.ending is Ending.END and run.end_ms is not None]
    # Without an end it is dead, since its last run at the earliest; or it has never run.
    return min(ends_ms) if ends_ms else max((run.start_ms for run in runs), default=_NEVER)


def _may_be_forgotten(answer: Answer, strikes: Sequence[Strike]) -> bool:
    return any(
        strike.forgets_ms and strike.from_ms - strike.forgets_ms <= answer.answered_ms <= strike.to_ms
        for strike in strikes
    )


def _crowding(asked: Asked, executions: Sequence[Execution], strikes: Sequence[Strike]) -> tuple[int, int]:
    """(how many of one lane ran at once at most; runs that began when their lane was full)."""
    most = over = 0
    running: dict[str, list[float]] = defaultdict(list)  # lane -> until when each counts
    for execution in sorted(executions, key=lambda one: one.start_ms):
        if (lane := asked.lanes.get(execution.id)) is None:
            continue
        until_ms = _counts_until_ms(execution, strikes)
        if until_ms <= execution.start_ms:
            continue
        beside = [until for until in running[lane] if until > execution.start_ms]
        running[lane] = [*beside, until_ms]
        most = max(most, len(running[lane]))
        over += len(running[lane]) > asked.lane_limit
    return most, over


def _counts_until_ms(execution: Execution, strikes: Sequence[Strike]) -> float:
    """Until it ended, or until a kill may have made Redis take its place from it."""
    end_ms = _NEVER if execution.end_ms is None else execution.end_ms
    reasons = [one for one in explanations(execution, strikes) if not one.stops_first or execution.end_ms is None]
    return min([end_ms, *(one.from_ms for one in reasons)])
