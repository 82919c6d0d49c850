"""Strikes: from the blows as they were dealt, and the journal, to which process died when, and how soon it must be made
good. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ferryman.crashtest.cluster import kinds
from ferryman.crashtest.cluster.journal import Journal, Life
from ferryman.crashtest.strike import FENCED_WITHIN_MS, GRACE_MS, Strike, ends_every_promise
from ferryman.policy import Policy

#: What a dying process still sends arrives within this time.
_LAST_WORDS_MS = 2_000.0
#: A pod of Redis that is gone leaves connections to nobody; who waits for a reply gives up after a quarter of 15 s.
_HALF_OPEN_MS = 4_000.0


@dataclass(frozen=True, slots=True)
class Blow:
    """A kill as it was dealt: from when the command was given to when it was done, or its victim was back."""

    number: int
    kind: str
    pod: str
    from_ms: float
    to_ms: float
    rescuer: bool = False  # the operator or a scheduler was away
    outage: bool = False  # Redis was away
    forgets_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A blow, the process of a worker that it ended, if any, and the strike that the verdict reckons with."""

    blow: Blow
    victim: Life | None
    strike: Strike

    @property
    def died_ms(self) -> float:
        """When the process was dead, as its kernel told; when it was asked to, if nobody saw it."""
        return self.victim.gone_ms if self.victim and self.victim.gone_ms is not None else self.blow.from_ms


def hits(blows: Sequence[Blow], journal: Journal) -> list[Hit]:
    """One for each blow, in their order."""
    return [_hit(blow, journal) for blow in sorted(blows, key=lambda one: one.number)]


def unasked(all_hits: Sequence[Hit], journal: Journal) -> Iterator[Life]:
    """Processes that ended although nobody had hit them."""
    asked = {hit.victim.process for hit in all_hits if hit.victim}
    return (life for life in journal.lives if life.gone_ms is not None and life.process not in asked)


def _hit(blow: Blow, journal: Journal) -> Hit:
    if blow.outage or blow.rescuer:
        back_ms = blow.to_ms + (_HALF_OPEN_MS if blow.kind == kinds.REDIS_POD else 0)
        all_stopped = blow.outage and ends_every_promise(back_ms - blow.from_ms, Policy().worker_timeout_ms)
        strike = Strike(
            *(blow.number, blow.kind, blow.pod, blow.from_ms, back_ms + FENCED_WITHIN_MS if all_stopped else back_ms),
            hits="*" if all_stopped else "",
            is_outage=blow.outage,
            forgets_ms=blow.forgets_ms,
            back_ms=back_ms,
        )
        return Hit(blow, None, strike)
    victim = journal.victim(blow.pod, blow.from_ms)
    if victim is None:
        return Hit(blow, None, Strike(blow.number, blow.kind, blow.pod, blow.from_ms, blow.to_ms))
    # It is told to end after the command was given, and has a grace of at least this from then on.
    gently, stops_at_ms = blow.kind == kinds.POD_DELETE, blow.from_ms + GRACE_MS
    died_ms = victim.gone_ms if victim.gone_ms is not None else float("inf")
    # Up to its death it told every outcome, so only what was in flight then may run again. But a worker whose memory
    # is taken away may stand still for seconds before it dies, and one without its beats may be declared dead while
    # it lets its tasks end.
    at_once = blow.kind in (kinds.POD_FORCE_DELETE, kinds.HEARTBEAT_ONLY, kinds.CRONJOB_ONLY)
    from_ms = died_ms if at_once and victim.gone_ms is not None else blow.from_ms
    to_ms = died_ms + _LAST_WORDS_MS
    return Hit(
        blow,
        victim,
        Strike(
            *(blow.number, blow.kind, victim.process, from_ms, to_ms),
            hits=victim.process,
            gently=gently,
            stops_at_ms=stops_at_ms,
        ),
    )
