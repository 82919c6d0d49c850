"""Verdict: what became of each task, and whether the kills explain it. Pure.

An execution that is repeated needs a reason (reasons.py). All else is a duplicate that nothing explains. A task may
be missing only if Redis lost what it had acknowledged within the stated bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from ferryman.crashtest.execution_log import Ending, Execution
from ferryman.crashtest.reasons import explanations
from ferryman.crashtest.strike import Strike
from ferryman.task import Task, TaskState


@dataclass(frozen=True, slots=True)
class LastSeen:
    """Where Redis had a task at the end; state None = nowhere."""

    state: TaskState | None
    crashes: int = 0
    error: str = ""
    released: int = 0  # of a workflow's node that waits for others: how often that was over

    @classmethod
    def of(cls, task: Task | None) -> LastSeen:
        """What Redis says of a task; None = it has none."""
        return cls(task.state, task.crashes, task.error, task.released) if task else cls(None)


class Fate(StrEnum):
    """What became of an accepted task."""

    DONE_ONCE = "done_once"
    DONE_AGAIN = "done_more_than_once"
    WAITING = "waiting"
    DELAYED = "delayed"
    BLOCKED = "blocked"
    ACTIVE = "active"
    DEAD = "dead"
    LOST = "lost"
    FORGOTTEN = "lost_within_the_bound"  # a failing Redis may lose what it acknowledged last


@dataclass(frozen=True, slots=True)
class Repeat:
    """Executions of one attempt of one task: more than one, or one that should have been the last and was not.

    `kills` are the numbers of those that explain it. `beside`: executions that went on after their successor had
    started, although their worker had to stop them before.
    """

    id: str
    executions: tuple[Execution, ...]
    kills: tuple[int, ...]
    unexplained: int  # executions beyond the one that was due for which there is no kill
    beside: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`problems` is empty when the promise was kept."""

    fates: Mapping[str, Fate]
    repeats: Sequence[Repeat]
    unaccounted: int
    problems: Sequence[str] = field(default=())
    released_once: int = 0  # of the nodes of workflows that waited for others

    def count(self, fate: Fate) -> int:
        """Tasks of that fate."""
        return sum(1 for one in self.fates.values() if one is fate)

    @property
    def unexplained(self) -> int:
        """Executions that nothing explains."""
        return sum(repeat.unexplained for repeat in self.repeats)

    @property
    def beside(self) -> int:
        """Executions that were not stopped before their task ran elsewhere."""
        return sum(repeat.beside for repeat in self.repeats)

    @property
    def kept(self) -> bool:
        """Nothing was lost, and nothing is unexplained."""
        return not self.problems


def judge(
    accepted: Mapping[str, float],
    executions: Sequence[Execution],
    strikes: Sequence[Strike],
    finals: Mapping[str, LastSeen],
    unaccounted: int,
    *,
    damaged_lines: int = 0,
    refused: int = 0,
    joins: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Verdict:
    """`accepted`: id -> when its enqueue was answered. `refused`: tasks that could not be enqueued at all. `joins`:
    id of a workflow's node -> those that it waits for.
    """
    by_id: dict[str, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_id[execution.id].append(execution)
    fates = {
        task_id: _fate(at_ms, by_id[task_id], finals.get(task_id, LastSeen(None)), strikes)
        for task_id, at_ms in accepted.items()
    }
    repeats = [repeat for task_id in sorted(by_id) for repeat in _repeats(by_id[task_id], strikes)]
    verdict = Verdict(fates, repeats, unaccounted)
    strangers = len(by_id.keys() - accepted.keys()) if not refused else 0
    innocent_dead = sum(1 for task_id, fate in fates.items() if fate is Fate.DEAD and not finals[task_id].crashes)
    unfinished = sum(verdict.count(fate) for fate in (Fate.WAITING, Fate.DELAYED, Fate.BLOCKED, Fate.ACTIVE))
    joined = {node: after for node, after in joins.items() if node in accepted and fates[node] is not Fate.FORGOTTEN}
    released = sum(1 for node in joined if finals.get(node, LastSeen(None)).released != 1)
    early = sum(1 for node, after in joined.items() if _began_early(by_id[node], [by_id[one] for one in after]))
    counts = (
        (verdict.count(Fate.LOST), "lost"),
        (abs(unaccounted), "unaccounted for by Redis' own counters"),
        (verdict.unexplained, "executions that no kill explains"),
        (verdict.beside, "executions that went on while their task ran elsewhere"),
        (unfinished, "tasks not done in time"),
        (released, "nodes of workflows that were not released exactly once"),
        (early, "nodes of workflows that began before those that they wait for had ended"),
        (innocent_dead, "dead without a crash of their own"),
        (refused, "tasks that could not be enqueued"),
        (strangers, "ids in the execution log that nobody enqueued"),
        (damaged_lines, "damaged lines in the execution log"),
    )
    problems = [f"{count:,} {what}" for count, what in counts if count]
    return Verdict(fates, repeats, unaccounted, problems, len(joined) - released)


def _began_early(executions: Sequence[Execution], before: Sequence[Sequence[Execution]]) -> bool:
    """Whether it ran before one that it waits for had come to an end. One that never did is dead: not waited for."""
    if not executions:
        return False
    ends_ms = [[e.end_ms for e in own if e.ending is Ending.END and e.end_ms is not None] for own in before]
    return any(ends and min(ends) > executions[0].start_ms for ends in ends_ms)


def _fate(at_ms: float, executions: Sequence[Execution], final: LastSeen, strikes: Sequence[Strike]) -> Fate:
    if final.state not in (None, TaskState.COMPLETED):
        return Fate(final.state.value)
    ended = sum(1 for execution in executions if execution.ending is Ending.END)
    if ended:
        return Fate.DONE_ONCE if ended == 1 else Fate.DONE_AGAIN
    # Redis does not know it, or counts it as completed, and no run of it came to its end.
    forgotten = final.state is None and any(
        strike.forgets_ms and strike.from_ms - strike.forgets_ms <= at_ms <= strike.to_ms for strike in strikes
    )
    return Fate.FORGOTTEN if forgotten else Fate.LOST


def _repeats(executions: Sequence[Execution], strikes: Sequence[Strike]) -> list[Repeat]:
    """Each attempt counts for itself, and one of its executions needs no kill: in the last attempt any, before it only
    one that failed as planned, for nothing else leads to a next attempt."""
    by_attempt: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        by_attempt[execution.attempt].append(execution)
    last = max(by_attempt, default=0)
    repeats = []
    for attempt, same in by_attempt.items():
        if len(same) == 1 and (attempt == last or same[0].ending is Ending.FAILED):
            continue  # of a hundred thousand tasks nearly all are such
        reasons = [[strike.number for strike in explanations(execution, strikes)] for execution in same]
        bare = [execution for execution, numbers in zip(same, reasons, strict=True) if not numbers]
        due = any(attempt == last or execution.ending is Ending.FAILED for execution in bare)
        unexplained = len(bare) - int(due)
        if len(same) > 1 or unexplained:
            kills = tuple(sorted({number for numbers in reasons for number in numbers}))
            beside = sum(_went_on(execution, same, strikes) for execution in same)
            repeats.append(Repeat(same[0].id, tuple(same), kills, unexplained, beside))
    return repeats


def _went_on(execution: Execution, same: Sequence[Execution], strikes: Sequence[Strike]) -> bool:
    """Whether it ran on after its successor had started, and nothing but faults that it could react to explains it."""
    if execution.end_ms is None or not any(execution.start_ms < s.start_ms < execution.end_ms for s in same):
        return False
    reasons = explanations(execution, strikes)
    return bool(reasons) and all(strike.stops_first for strike in reasons)
