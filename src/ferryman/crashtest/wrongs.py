"""Wrongs: what both reports say of repeats, of workflows, and of the tasks with which the promise was not kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ferryman.crashtest.execution_log import Ending
from ferryman.crashtest.verdict import Fate, Repeat, Verdict

#: The most that a person wants to read of one kind.
SHOWN: Final = 10


def repeated(repeats: Sequence[Repeat]) -> int:
    """Executions beyond the first one."""
    return sum(len(one.executions) - 1 for one in repeats)


def ended_again(repeats: Sequence[Repeat]) -> int:
    """Executions that came to an end although one had before."""
    ended = (sum(1 for run in one.executions if run.ending in (Ending.END, Ending.FAILED)) for one in repeats)
    return sum(max(0, count - 1) for count in ended)


def runs(repeat: Repeat) -> list[dict[str, object]]:
    """The executions of a repeat, for JSON."""
    return [
        {
            "process": run.process,
            "attempt": run.attempt,
            "start_ms": run.start_ms,
            "end_ms": run.end_ms,
            "ending": run.ending.value,
        }
        for run in repeat.executions
    ]


def released(workflows: int, followers: int, verdict: Verdict) -> Iterator[str]:
    """What came of the workflows, if there are any; `followers`: their nodes that waited for others."""
    if workflows:
        yield (
            f"{workflows:,} workflows: of {followers:,} nodes that waited for others {verdict.released_once:,} were "
            "released exactly once."
        )


def wrongs(verdict: Verdict) -> Iterator[str]:
    """Line by line: executions that nothing explains or that ran beside their successor, and what is lost."""
    wrong = [one for one in verdict.repeats if one.unexplained or one.beside]
    for repeat in wrong[:SHOWN]:
        yield f"{'unexplained' if repeat.unexplained else 'ran beside its successor'}: {repeat.id}"
        for run in repeat.executions:
            end = f"{run.ending} at {run.end_ms:.0f} ms" if run.end_ms is not None else "no end"
            yield f"    attempt {run.attempt} in {run.process} (pid {run.pid}), start at {run.start_ms:.0f} ms, {end}"
    lost = [task_id for task_id, fate in verdict.fates.items() if fate is Fate.LOST]
    if lost:
        yield f"lost: {', '.join(lost[:SHOWN])}{' and more' if len(lost) > SHOWN else ''}"
