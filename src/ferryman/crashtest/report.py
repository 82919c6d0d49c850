"""Report: an outcome as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ferryman.crashtest.kinds import REDIS
from ferryman.crashtest.outcome import Outcome, Settings
from ferryman.crashtest.recovery import Aftermath, Spread
from ferryman.crashtest.verdict import Fate, Repeat
from ferryman.crashtest.wrongs import SHOWN, ended_again, released, repeated, runs, wrongs

_FATES: Final[Mapping[Fate, str]] = {
    Fate.DONE_ONCE: "done once",
    Fate.DONE_AGAIN: "done more than once",
    Fate.WAITING: "waiting",
    Fate.DELAYED: "delayed",
    Fate.BLOCKED: "blocked",
    Fate.ACTIVE: "active",
    Fate.DEAD: "dead",
    Fate.LOST: "lost",
    Fate.FORGOTTEN: "lost within the bound",
}


def to_json_dict(outcome: Outcome) -> dict[str, Any]:
    """Everything, with every kill; `ids` has those of all tasks that were not done once."""
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
        "replay": replay(settings),
        "left_out": dict(outcome.left_out),
        "accepted": len(verdict.fates),
        "fates": {fate.value: verdict.count(fate) for fate in Fate},
        "ids": {
            fate.value: [task_id for task_id, own in verdict.fates.items() if own is fate]
            for fate in Fate
            if fate is not Fate.DONE_ONCE
        },
        "unaccounted": verdict.unaccounted,
        "workflows": {
            "count": outcome.workflows,
            "waited_for_others": outcome.followers,
            "released_once": verdict.released_once,
        },
        "features": outcome.findings.to_json_dict(),
        "unexplained": verdict.unexplained,
        "beside_their_successor": verdict.beside,
        "bound_ms": outcome.bound_ms,
        "executions": outcome.executions,
        "repeated": {
            "executions": repeated(verdict.repeats),
            "in_flight_at_kills": sum(one.in_flight for one in outcome.aftermaths),
            "ended_more_than_once": ended_again(verdict.repeats),
            "by_kind": {kind: _repeated_by(kind, outcome) for kind in _kinds(outcome.aftermaths)},
        },
        "resent": {
            "enqueues": outcome.resent_enqueues,
            "posts": outcome.posted_again,
            "posted_tasks": outcome.posted,
            "replies_lost_on_purpose": outcome.lost_replies,
        },
        "standstills": [{"from_ms": round(one.from_ms), "to_ms": round(one.back_ms)} for one in outcome.standstills],
        "recovery_s": {kind: spread.to_json_dict() for kind, spread in _recoveries(outcome.aftermaths)},
        "kills": [_kill(one) for one in outcome.aftermaths],
        "repeats": [_repeat(one) for one in verdict.repeats],
        "ended_by_themselves": [{"process": one.process, "exit_code": one.code} for one in outcome.unasked_exits],
        "stats": outcome.stats.to_json_dict(),
    }


def lines(outcome: Outcome) -> Iterator[str]:
    """What a person reads."""
    settings, verdict = outcome.settings, outcome.verdict
    kills = len(outcome.aftermaths)
    more = len(verdict.fates) - settings.tasks
    others = f" and {more:,} of schedules and unique keys" if more > 0 else ""
    yield f"{settings.tasks:,} tasks{others}, {settings.workers} workers, {kills} kills, {outcome.took_s:.0f} s."
    yield ""
    for fate, words in _FATES.items():
        yield f"  {words:<24}{verdict.count(fate):>10,}{_remark(outcome, fate)}"
    yield f"  {'unaccounted':<24}{verdict.unaccounted:>10,}"
    yield f"  {'unexplained repeats':<24}{verdict.unexplained:>10,}"
    if verdict.beside:
        yield f"  {'ran beside a successor':<24}{verdict.beside:>10,}"
    yield ""
    flying = sum(one.in_flight for one in outcome.aftermaths)
    ended = ended_again(verdict.repeats)
    yield (
        f"{repeated(verdict.repeats):,} executions were repeated; {flying:,} were in flight at the kills. "
        f"{ended:,} ran to an end twice:\n"
        "Redis had not heard of the first end, or a worker was paused or cut off and was no longer the owner."
    )
    yield from released(outcome.workflows, outcome.followers, verdict)
    yield from outcome.findings.lines()
    yield from _resends(outcome)
    yield ""
    yield "REPEATED: tasks that ran again and that this kill is the first to explain. AGAIN: of those in flight,"
    yield "how many had to start again, and the times from the kill until they did:"
    yield f"  {'KILL':<16}{'TIMES':>6}{'IN FLIGHT':>11}{'REPEATED':>10}{'AGAIN':>8}{'P50':>9}{'P99':>9}{'MAX':>9}"
    for kind, spread in _recoveries(outcome.aftermaths):
        own = [one for one in outcome.aftermaths if kind in ("all", one.strike.kind)]
        seconds = "".join(f"{value:>7.2f} s" for value in (spread.p50, spread.p99, spread.max)) if spread.count else ""
        flying, again = sum(one.in_flight for one in own), _repeated_by(kind, outcome)
        yield f"  {kind:<16}{len(own):>6}{flying:>11,}{again:>10,}{spread.count:>8,}{seconds}"
    yield ""
    yield from _oddities(outcome)
    yield "PASSED: nothing was lost." if not outcome.problems else f"FAILED: {'; '.join(outcome.problems)}."
    yield f"The same kills again: {replay(settings)}"


def replay(settings: Settings) -> str:
    """The command line that plans the same kills. A Redis that was given is left out: its URL may hold a password."""
    words = ["ferryman crash-test", f"--tasks {settings.tasks}", f"--kills {settings.kills}", f"--seed {settings.seed}"]
    if settings.workers != 4:
        words.append(f"--workers {settings.workers}")
    if settings.schedulers != 1:
        words.append(f"--schedulers {settings.schedulers}")
    if settings.task_ms != 50:
        words.append(f"--task-ms {settings.task_ms:g}")
    if settings.worker_timeout_ms != 15_000:
        words.append(f"--worker-timeout {settings.worker_timeout_ms}ms")
    if settings.kinds_asked:
        words.append(f"--kinds {','.join(kind for kind in settings.kinds if kind != REDIS)}")
    if settings.redis_fails == "aof-restart":
        words.append(f"--aof-restart {settings.appendfsync}")
    if settings.redis_fails == "failover":
        words.append("--failover")
    return " ".join(words)


def _resends(outcome: Outcome) -> Iterator[str]:
    if outcome.posted:
        yield (
            f"{outcome.posted:,} tasks came over HTTP; {outcome.posted_again:,} requests had no answer and were sent "
            "again."
        )
    if outcome.resent_enqueues or outcome.lost_replies:
        yield (
            f"{outcome.lost_replies:,} replies of Redis were lost on purpose; {outcome.resent_enqueues:,} enqueues "
            "had to be sent again by the test."
        )


def _remark(outcome: Outcome, fate: Fate) -> str:
    if fate is Fate.DONE_ONCE:
        ids = {one.id for one in outcome.verdict.repeats if outcome.verdict.fates.get(one.id) is Fate.DONE_ONCE}
        return f"   {len(ids):,} of them were started more than once" if ids else ""
    if fate is Fate.DEAD and outcome.verdict.count(fate):
        return "   their worker died crashes.max times while it held nothing else"
    if fate is Fate.FORGOTTEN and outcome.bound_ms:
        return f"   Redis may forget what it acknowledged in the last {outcome.bound_ms / 1_000:g} s before it dies"
    return ""


def _oddities(outcome: Outcome) -> Iterator[str]:
    for kind, why in outcome.left_out.items():
        yield f"note: {kind} was left out: {why}"
    on_workers = [one for one in outcome.aftermaths if one.strike.hits]
    if idle := sum(1 for one in on_workers if not one.in_flight):
        yield f"note: {idle} of {len(on_workers)} kills of workers hit an idle one: more --tasks prove more"
    if outcome.standstills:
        longest_ms = max(one.back_ms - one.from_ms for one in outcome.standstills)
        yield (
            f"note: this machine or Redis stood still {len(outcome.standstills)} times, for up to "
            f"{longest_ms / 1_000:.1f} s: what workers had to tell came late"
        )
    cut_off = {one.strike.hits for one in on_workers if one.strike.stops_first}
    for one in outcome.unasked_exits[:SHOWN]:
        why = ": the thread of a task can't be stopped, so it ended with it" if one.process in cut_off else ""
        yield f"note: {one.process} ended by itself with {one.code}{why}; the next one took its place"
    yield from wrongs(outcome.verdict)


def _recoveries(aftermaths: Sequence[Aftermath]) -> list[tuple[str, Spread]]:
    rows = [
        (kind, Spread.of([wait for one in aftermaths if one.strike.kind == kind for wait in one.waits_s]))
        for kind in _kinds(aftermaths)
    ]
    return [*rows, ("all", Spread.of([wait for one in aftermaths for wait in one.waits_s]))]


def _kinds(aftermaths: Sequence[Aftermath]) -> list[str]:
    return sorted({one.strike.kind for one in aftermaths})


def _repeated_by(kind: str, outcome: Outcome) -> int:
    """Tasks that were repeated, each under the first kill that explains it."""
    numbers = {one.strike.number for one in outcome.aftermaths if kind in ("all", one.strike.kind)}
    return sum(1 for one in outcome.verdict.repeats if one.kills and one.kills[0] in numbers)


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
    return {
        "id": one.id,
        "kills": list(one.kills),
        "unexplained": one.unexplained,
        "beside": one.beside,
        "executions": runs(one),
    }
