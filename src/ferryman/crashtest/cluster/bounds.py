"""Bounds: how long what a dead worker ran may wait until it runs again, by who is left to notice the death. Pure.

Measured from the death of the process, as its kernel told it; where its container restarts in the same pod, from the
restart, since the kubelet's own delay and back-off are not Ferryman's. A rescuer that was killed in the meantime
leaves the next one in charge, and nothing is promised while Redis is away. A task that died twice in company is
isolated: it comes back as soon, but waits until its worker has nothing else to do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ferryman.crashtest.cluster import kinds
from ferryman.crashtest.cluster.journal import Journal, Life
from ferryman.crashtest.cluster.strikes import Hit
from ferryman.crashtest.execution_log import Execution
from ferryman.crashtest.recovery import Spread

RESTART_S: Final = 1.0
OPERATOR_S: Final = 5.0
HEARTBEAT_S: Final = 20.0
CRONJOB_S: Final = 75.0

#: Kinds after which the successor in the same pod takes over.
_IN_PLACE: Final = (kinds.CONTAINER_OOM, kinds.BEAT_CHILD)
#: Deaths after which a task is isolated.
_ISOLATED_AFTER: Final = 2
_BOUNDS: Final[Mapping[str, float]] = {
    kinds.CONTAINER_OOM: RESTART_S,
    kinds.BEAT_CHILD: RESTART_S,
    kinds.POD_FORCE_DELETE: OPERATOR_S,
    kinds.HEARTBEAT_ONLY: HEARTBEAT_S,
    kinds.CRONJOB_ONLY: CRONJOB_S,
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """After one hit: how many executions it cut off, and the waits (s) of those that started again.

    `bound_s` None = nothing is promised, as Redis was away, or as nothing had to be recovered.
    """

    hit: Hit
    in_flight: int
    from_command_s: Sequence[float] = ()
    from_death_s: Sequence[float] = ()
    from_restart_s: Sequence[float] | None = None
    bound_s: float | None = None
    restart: Life | None = None
    #: Waits, from the death, of tasks that were isolated; they are in none of the others.
    isolated_s: Sequence[float] = ()

    @property
    def bounded_s(self) -> Sequence[float]:
        """The waits that the bound is about."""
        return self.from_death_s if self.from_restart_s is None else self.from_restart_s

    @property
    def over(self) -> int:
        """Waits beyond the bound."""
        return 0 if self.bound_s is None else sum(1 for wait in self.bounded_s if wait > self.bound_s)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: waits of one kind under one bound."""

    kind: str
    bound_s: float | None
    times: int
    in_flight: int
    over: int
    bounded: Spread
    death: Spread
    command: Spread


def recoveries(hits: Sequence[Hit], journal: Journal) -> list[Recovery]:
    """One for each hit, in their order."""
    by_process: dict[str, list[Execution]] = defaultdict(list)
    by_id: dict[str, list[Execution]] = defaultdict(list)
    for execution in journal.executions:
        by_process[execution.process].append(execution)
        by_id[execution.id].append(execution)
    blamed = {hit.victim.process for hit in hits if hit.victim and hit.blow.kind != kinds.POD_FORCE_DELETE}
    isolated = {
        execution.run
        for same in by_id.values()
        for execution in _from_the_second_death_on([one for one in same if one.end_ms is None], blamed)
    }
    return [_recovery(hit, hits, journal, by_process, by_id, isolated) for hit in hits]


def rows(found: Sequence[Recovery]) -> list[Row]:
    """By kind and bound, in the order of the kinds."""
    groups: dict[tuple[int, float], list[Recovery]] = defaultdict(list)
    for one in found:
        position = list(kinds.KINDS).index(one.hit.blow.kind)
        groups[position, one.bound_s if one.bound_s is not None else float("inf")].append(one)
    return [
        Row(
            kind=some[0].hit.blow.kind,
            bound_s=some[0].bound_s,
            times=len(some),
            in_flight=sum(one.in_flight for one in some),
            over=sum(one.over for one in some),
            bounded=Spread.of([wait for one in some for wait in one.bounded_s]),
            death=Spread.of([wait for one in some for wait in one.from_death_s]),
            command=Spread.of([wait for one in some for wait in one.from_command_s]),
        )
        for _, some in sorted(groups.items())
    ]


def _recovery(
    hit: Hit,
    hits: Sequence[Hit],
    journal: Journal,
    by_process: Mapping[str, Sequence[Execution]],
    by_id: Mapping[str, Sequence[Execution]],
    isolated: Collection[str],
) -> Recovery:
    strike = hit.strike
    if strike.is_outage:
        flying = [one for one in journal.executions if _flies(one, strike.from_ms)]
        return Recovery(hit, len(flying))
    if hit.victim is None:
        return Recovery(hit, 0)
    cut = [one for one in by_process[hit.victim.process] if _flies(one, hit.died_ms)]
    if strike.gently:
        return Recovery(hit, len(cut))
    starts = [(one.run, start) for one in cut if (start := _next_start(one, by_id[one.id])) is not None]
    again = [start for run, start in starts if run not in isolated]
    restart = _restart(hit, journal)
    return Recovery(
        hit,
        len(cut),
        from_command_s=[(start - hit.blow.from_ms) / 1_000 for start in again],
        from_death_s=[(start - hit.died_ms) / 1_000 for start in again],
        # What others took back while the container was still away did not wait for it.
        from_restart_s=[max(0.0, start - restart.started_ms) / 1_000 for start in again] if restart else None,
        bound_s=_bound(hit, hits, restart),
        restart=restart,
        isolated_s=[(start - hit.died_ms) / 1_000 for run, start in starts if run in isolated],
    )


def _from_the_second_death_on(cut: Sequence[Execution], blamed: Collection[str]) -> Iterator[Execution]:
    """Of the executions of one task that were cut off, those that left it isolated. A pod that was deleted while it
    ran is no death that a task is suspected of."""
    deaths = 0
    for execution in cut:
        deaths += execution.process in blamed
        if deaths >= _ISOLATED_AFTER:
            yield execution


def _restart(hit: Hit, journal: Journal) -> Life | None:
    if hit.blow.kind not in _IN_PLACE or hit.victim is None:
        return None
    return journal.successor(hit.victim)


def _bound(hit: Hit, hits: Sequence[Hit], restart: Life | None) -> float | None:
    bound_s = _BOUNDS.get(hit.blow.kind)
    if bound_s is None:
        return None
    if hit.blow.kind in _IN_PLACE and restart is None:
        bound_s = OPERATOR_S  # its pod was gone before it could restart
    counted_from_ms = restart.started_ms if restart else hit.died_ms
    until_ms = counted_from_ms + bound_s * 1_000
    if any(one.strike.is_outage and one.strike.from_ms < until_ms and one.strike.to_ms > hit.died_ms for one in hits):
        return None
    away = [one for one in hits if one.blow.rescuer and one.blow.from_ms < until_ms and one.blow.to_ms > hit.died_ms]
    if away and bound_s == OPERATOR_S:
        return HEARTBEAT_S
    return bound_s


def _flies(execution: Execution, at_ms: float) -> bool:
    return execution.start_ms <= at_ms and (execution.end_ms is None or execution.end_ms > at_ms)


def _next_start(execution: Execution, same_id: Sequence[Execution]) -> float | None:
    position = bisect_right(same_id, execution.start_ms, key=lambda one: one.start_ms)
    following = same_id[position] if position < len(same_id) else None
    # A later attempt follows a failure as planned: nobody waited for a recovery.
    return following.start_ms if following and following.attempt == execution.attempt else None
