"""Report: an outcome as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ferryman.crashtest.execution_log import Ending
from ferryman.crashtest.kills import KINDS
from ferryman.crashtest.outcome import Outcome
from ferryman.crashtest.recovery import Aftermath, Spread
from ferryman.crashtest.verdict import Fate, Repeat

#: The most that a person wants to read of one kind.
_SHOWN: Final = 10

_FATES: Final[Mapping[Fate, str]] = {
    Fate.DONE_ONCE: "done once",
    Fate.DONE_AGAIN: "done more than once",
    Fate.WAITING: "waiting",
    Fate.DELAYED: "delayed",
    Fate.ACTIVE: "active",
    Fate.DEAD: "dead",
    Fate.LOST: "lost",
    Fate.FORGOTTEN: "lost within the bound",
}


def to_json_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything, with every kill; of the tasks only those that were repeated or not done."""
    settings, verdict = outcome.settings, outcome.verdict
    return {
        "passed": not outcome.problems,
        "problems": outcome.problems,
        "options": {
            "tasks": settings.tasks,
            "workers": settings.workers,
            "schedulers": settings.schedulers,
            "kills": settings.kills,
            "seed": settings.seed,
            "task_ms": settings.task_ms,
            "kinds": list(settings.kinds),
            "worker_timeout_s": settings.worker_timeout_ms / 1_000,
            "redis_fails": settings.redis_fails or None,
            "appendfsync": settings.appendfsync if not settings.redis_url else None,
        },
        "took_s": round(outcome.took_s, 1),
        "fates": {fate.value: verdict.count(fate) for fate in Fate},
        "unaccounted": verdict.unaccounted,
        "unexplained": verdict.unexplained,
        "bound_ms": outcome.bound_ms,
        "executions": outcome.executions,
        "repeated": {
            "executions": _repeated(verdict.repeats),
            "in_flight_at_kills": sum(one.in_flight for one in outcome.aftermaths),
            "ended_more_than_once": _ended_again(verdict.repeats),
        },
        "recovery_s": {kind: _spread(spread) for kind, spread in _recoveries(outcome.aftermaths)},
        "kills": [_kill(one) for one in outcome.aftermaths],
        "repeats": [_repeat(one) for one in verdict.repeats],
        "not_done": {
            task_id: fate.value
            for task_id, fate in verdict.fates.items()
            if fate not in (Fate.DONE_ONCE, Fate.DONE_AGAIN)
        },
        "ended_by_themselves": [{"process": one.process, "exit_code": one.code} for one in outcome.unasked_exits],
        "stats": outcome.stats.to_json_dict(),
    }


def lines(outcome: Outcome) -> Iterator[str]:
    """What a person reads."""
    settings, verdict = outcome.settings, outcome.verdict
    yield (
        f"{settings.tasks:,} tasks, {settings.workers} workers, {len(outcome.aftermaths)} kills, "
        f"{outcome.took_s:.0f} s. Repeat it with --seed {settings.seed}."
    )
    yield ""
    for fate, words in _FATES.items():
        yield f"  {words:<24}{verdict.count(fate):>10,}{_remark(outcome, fate)}"
    yield f"  {'unaccounted':<24}{verdict.unaccounted:>10,}"
    yield f"  {'unexplained repeats':<24}{verdict.unexplained:>10,}"
    yield ""
    flying = sum(one.in_flight for one in outcome.aftermaths)
    ended = _ended_again(verdict.repeats)
    yield (
        f"{_repeated(verdict.repeats):,} executions were repeated; {flying:,} were in flight at the kills. "
        f"{ended:,} ran to an end twice:\n"
        "Redis had not heard of the first end, or a paused worker woke up and was no longer the owner."
    )
    yield ""
    yield "From a kill to the next start of what was in flight:"
    yield f"  {'KILL':<16}{'TIMES':>6}{'IN FLIGHT':>11}{'AGAIN':>8}{'P50':>9}{'P99':>9}{'MAX':>9}"
    for kind, spread in _recoveries(outcome.aftermaths):
        own = [one for one in outcome.aftermaths if kind in ("all", one.strike.kind)]
        seconds = "".join(f"{value:>7.2f} s" for value in (spread.p50, spread.p99, spread.max)) if spread.count else ""
        yield f"  {kind:<16}{len(own):>6}{sum(one.in_flight for one in own):>11,}{spread.count:>8,}{seconds}"
    yield ""
    yield from _oddities(outcome)
    yield "PASSED: nothing was lost." if not outcome.problems else f"FAILED: {'; '.join(outcome.problems)}."


def _remark(outcome: Outcome, fate: Fate) -> str:
    if fate is Fate.DONE_ONCE:
        ids = {one.id for one in outcome.verdict.repeats if outcome.verdict.fates.get(one.id) is Fate.DONE_ONCE}
        return f"   {len(ids):,} of them were started more than once" if ids else ""
    if fate is Fate.DEAD and outcome.verdict.count(fate):
        return "   their worker died crashes.max times while it held nothing else"
    if fate is Fate.FORGOTTEN and outcome.settings.redis_fails:
        return f"   Redis may forget what it acknowledged in the last {outcome.bound_ms / 1_000:g} s before it dies"
    return ""


def _oddities(outcome: Outcome) -> Iterator[str]:
    on_workers = [one for one in outcome.aftermaths if one.strike.hits]
    if idle := sum(1 for one in on_workers if not one.in_flight):
        yield f"note: {idle} of {len(on_workers)} kills of workers hit an idle one: more --tasks prove more"
    for one in outcome.unasked_exits[:_SHOWN]:
        yield f"note: {one.process} ended by itself with {one.code}; the next one took its place"
    unexplained = [one for one in outcome.verdict.repeats if one.unexplained]
    for repeat in unexplained[:_SHOWN]:
        yield f"unexplained: {repeat.id}"
        for run in repeat.executions:
            end = f"{run.ending} at {run.end_ms:.0f} ms" if run.end_ms is not None else "no end"
            yield f"    attempt {run.attempt} in {run.process} (pid {run.pid}), start at {run.start_ms:.0f} ms, {end}"
    lost = [task_id for task_id, fate in outcome.verdict.fates.items() if fate is Fate.LOST]
    if lost:
        yield f"lost: {', '.join(lost[:_SHOWN])}{' and more' if len(lost) > _SHOWN else ''}"


def _repeated(repeats: Sequence[Repeat]) -> int:
    return sum(len(one.executions) - 1 for one in repeats)


def _ended_again(repeats: Sequence[Repeat]) -> int:
    ended = (sum(1 for run in one.executions if run.ending in (Ending.END, Ending.FAILED)) for one in repeats)
    return sum(max(0, count - 1) for count in ended)


def _recoveries(aftermaths: Sequence[Aftermath]) -> list[tuple[str, Spread]]:
    kinds = [kind for kind in KINDS if any(one.strike.kind == kind for one in aftermaths)]
    rows = [
        (kind, Spread.of([wait for one in aftermaths if one.strike.kind == kind for wait in one.waits_s]))
        for kind in kinds
    ]
    return [*rows, ("all", Spread.of([wait for one in aftermaths for wait in one.waits_s]))]


def _spread(spread: Spread) -> dict[str, float]:
    return {
        "count": spread.count,
        **{name: round(getattr(spread, name), 3) for name in ("p50", "p99", "max")},
    }


def _kill(one: Aftermath) -> dict[str, Any]:
    strike = one.strike
    return {
        "number": strike.number,
        "kind": strike.kind,
        "target": strike.target,
        "from_ms": round(strike.from_ms),
        "to_ms": round(strike.to_ms),
        "in_flight": one.in_flight,
        "recovery_s": [round(wait, 3) for wait in one.waits_s],
    }


def _repeat(one: Repeat) -> dict[str, Any]:
    runs = [
        {
            "process": run.process,
            "attempt": run.attempt,
            "start_ms": run.start_ms,
            "end_ms": run.end_ms,
            "ending": run.ending.value,
        }
        for run in one.executions
    ]
    return {"id": one.id, "kills": list(one.kills), "unexplained": one.unexplained, "executions": runs}
