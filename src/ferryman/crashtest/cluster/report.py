"""Report: the outcome on Kubernetes as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ferryman.crashtest.cluster.bounds import Recovery, Row, rows
from ferryman.crashtest.cluster.outcome import ClusterOutcome
from ferryman.crashtest.verdict import Fate, Repeat
from ferryman.crashtest.wrongs import SHOWN, ended_again, released, repeated, runs, wrongs


def to_json_dict(outcome: ClusterOutcome) -> dict[str, Any]:
    """Everything, with every kill; of the tasks only those that were repeated or not done."""
    settings, verdict = outcome.settings, outcome.verdict
    options = asdict(settings)
    options.pop("redis_url")  # may hold a password
    return {
        "passed": not outcome.problems,
        "problems": outcome.problems,
        "options": options,
        "took_s": round(outcome.took_s, 1),
        "fates": {fate.value: verdict.count(fate) for fate in Fate},
        "unaccounted": verdict.unaccounted,
        "workflows": {
            "count": outcome.workflows,
            "waited_for_others": outcome.followers,
            "released_once": verdict.released_once,
        },
        "features": outcome.findings.to_json_dict(),
        "unexplained": verdict.unexplained,
        "bound_ms": outcome.bound_ms,
        "executions": outcome.executions,
        "resent_enqueues": outcome.resent_enqueues,
        "repeated": {
            "executions": repeated(verdict.repeats),
            "in_flight_at_kills": sum(one.in_flight for one in outcome.recoveries),
            "ended_more_than_once": ended_again(verdict.repeats),
        },
        "recovery_s": [_row(row) for row in rows(outcome.recoveries)],
        "kills": [_kill(one) for one in outcome.recoveries],
        "left_out": list(outcome.left_out),
        "repeats": [_repeat(one) for one in verdict.repeats],
        "not_done": {
            task_id: fate.value
            for task_id, fate in verdict.fates.items()
            if fate not in (Fate.DONE_ONCE, Fate.DONE_AGAIN)
        },
        "ended_by_themselves": [life.process for life in outcome.unasked_ends],
        "stats": dict(outcome.stats),
    }


def lines(outcome: ClusterOutcome) -> Iterator[str]:
    """What a person reads."""
    settings, verdict = outcome.settings, outcome.verdict
    yield (
        f"{settings.tasks:,} tasks, {settings.workers} worker pods, {len(outcome.recoveries)} kills, "
        f"{outcome.took_s:.0f} s. The same schedule again: --seed {settings.seed}."
    )
    yield ""
    for fate in Fate:
        yield f"  {fate.value.replace('_', ' '):<24}{verdict.count(fate):>10,}"
    yield f"  {'unaccounted':<24}{verdict.unaccounted:>10,}"
    yield f"  {'unexplained repeats':<24}{verdict.unexplained:>10,}"
    yield ""
    flying = sum(one.in_flight for one in outcome.recoveries)
    yield (
        f"{repeated(verdict.repeats):,} executions were repeated; {flying:,} were in flight at the kills. "
        f"{ended_again(verdict.repeats):,} ran to an end twice:\nRedis had not heard of the first end."
    )
    yield from released(outcome.workflows, outcome.followers, verdict)
    yield from outcome.findings.lines()
    yield ""
    yield "From a worker's death to the next start of what it ran (s). Where its container restarts in the same pod,"
    yield "the bound counts from that restart: the kubelet's delay and back-off are not Ferryman's."
    yield f"  {'':<37}{'FROM DEATH OR RESTART':>24}{'':>9}{'FROM THE DEATH':>17}{'FROM THE COMMAND':>17}"
    yield (
        f"  {'KILL':<18}{'TIMES':>6}{'CUT OFF':>8}"
        f"{'P50':>8}{'P99':>8}{'MAX':>8}{'BOUND':>8}{'OVER':>6}{'P50':>9}{'MAX':>8}{'P50':>9}{'MAX':>8}"
    )
    for row in rows(outcome.recoveries):
        yield _table_line(row)
    yield ""
    yield from _oddities(outcome)
    yield "PASSED: nothing was lost." if not outcome.problems else f"FAILED: {'; '.join(outcome.problems)}."


def _table_line(row: Row) -> str:
    line = f"  {row.kind:<18}{row.times:>6}{row.in_flight:>8,}"
    if not row.bounded.count:
        return line
    bound = f"{row.bound_s:g}" if row.bound_s is not None else "none"
    line += "".join(f"{value:>8.2f}" for value in (row.bounded.p50, row.bounded.p99, row.bounded.max))
    line += f"{bound:>8}{row.over:>6}"
    return line + "".join(f"{one.p50:>9.2f}{one.max:>8.2f}" for one in (row.death, row.command))


def _oddities(outcome: ClusterOutcome) -> Iterator[str]:
    if any(row.bound_s is None and row.bounded.count for row in rows(outcome.recoveries)):
        yield "note: a bound of none: Redis was away in the meantime"
    on_workers = [one for one in outcome.recoveries if one.hit.victim and not one.hit.strike.gently]
    if idle := sum(1 for one in on_workers if not one.in_flight):
        yield f"note: {idle} of {len(on_workers)} kills of workers cut nothing off: more or longer tasks prove more"
    for one in outcome.left_out:
        yield f"note: left out: {one}"
    if isolated := [wait for one in outcome.recoveries for wait in one.isolated_s]:
        yield (
            f"note: {len(isolated)} times a task had died twice in company and was isolated: it waited up to "
            f"{max(isolated):.1f} s until its worker had nothing else to do"
        )
    if over := [one for one in outcome.recoveries if one.over]:
        yield f"note: {len(over)} kills took longer than their bound: {', '.join(map(_numbered, over[:SHOWN]))}"
    for life in outcome.unasked_ends[:SHOWN]:
        yield f"note: {life.process} ended by itself"
    yield from wrongs(outcome.verdict)


def _numbered(one: Recovery) -> str:
    return f"{one.hit.blow.number} ({one.hit.blow.kind}, {max(one.bounded_s):.2f} s)"


def _row(row: Row) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "bound": row.bound_s,
        "times": row.times,
        "cut_off": row.in_flight,
        "over_bound": row.over,
        "from_death_or_restart": row.bounded.to_json_dict(),
        "from_death": row.death.to_json_dict(),
        "from_command": row.command.to_json_dict(),
    }


def _kill(one: Recovery) -> dict[str, Any]:
    blow, victim = one.hit.blow, one.hit.victim
    return {
        "number": blow.number,
        "kind": blow.kind,
        "pod": blow.pod,
        "process": victim.process if victim else None,
        "from_ms": round(blow.from_ms),
        "to_ms": round(blow.to_ms),
        "died_ms": round(one.hit.died_ms),
        "cut_off": one.in_flight,
        "restart": _restart(one),
        "bound_s": one.bound_s,
        "recovery_s": [round(wait, 3) for wait in one.bounded_s],
        "isolated_s": [round(wait, 3) for wait in one.isolated_s],
        "from_death_s": [round(wait, 3) for wait in one.from_death_s],
        "from_command_s": [round(wait, 3) for wait in one.from_command_s],
    }


def _restart(one: Recovery) -> dict[str, float] | None:
    if one.restart is None:
        return None
    start_up_ms = one.restart.up_ms - one.restart.started_ms
    return {
        "from_death_s": round((one.restart.started_ms - one.hit.died_ms) / 1_000, 3),
        "to_its_app_s": round(start_up_ms / 1_000, 3),
    }


def _repeat(one: Repeat) -> dict[str, Any]:
    return {"id": one.id, "kills": list(one.kills), "unexplained": one.unexplained, "executions": runs(one)}
