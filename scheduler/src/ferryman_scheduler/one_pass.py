"""One pass: what the recovery CronJob runs when all else is down.

It looks at silent workers about once a second until each has a verdict, promotes what is due, fires schedules, trims,
and ends. A worker that has just fallen silent is waited for too: the next pass may be a minute away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

from ferryman.call import command
from ferryman.cause import Cause
from ferryman.errors import BrokerError
from ferryman.keys import Keys
from ferryman.link import Link
from ferryman.workers import WorkerRegistry
from ferryman_scheduler.accord import Accord
from ferryman_scheduler.advancer import Advancer
from ferryman_scheduler.chore import Chore, Visit
from ferryman_scheduler.janitor import Janitor
from ferryman_scheduler.promoter import Promoter
from ferryman_scheduler.recoverer import LOOK_EVERY_S, Recoverer
from ferryman_scheduler.timekeeper import Timekeeper

#: A verdict takes two beats of the silent worker, 2 s by default. The CronJob's deadline is 50 s.
PATIENCE_S: Final = 40.0

#: A lost hand-over is one after 2 s; what lies in handed longer than this is other tasks passing through.
HANDED_PATIENCE_S: Final = 3.5

#: The share of its timeout after which a worker that has not beaten is late: three beats of fifteen.
LATE_SHARE: Final = 0.2

#: Batches of each kind in one pass, so that it ends; the next pass goes on.
MOST_BATCHES: Final = 500


@dataclass(slots=True)
class Summary:
    """What the pass did for one queue; `suspected` are silent workers that it left without a verdict."""

    queue: str
    recovered: int = 0
    to_dead: int = 0
    handed: int = 0
    promoted: int = 0
    fired: int = 0
    forgotten: int = 0
    discarded: int = 0
    suspected: int = 0
    error: str = ""

    def to_json_dict(self) -> dict[str, object]:
        """All fields."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Summaries:
    """A tally by queue."""

    def __init__(self, queues: Sequence[str]) -> None:
        self.by_queue = {queue: Summary(queue) for queue in queues}

    def promoted(self, queue: str, count: int, lag_ms: int) -> None:
        """Delayed -> waiting."""
        self.by_queue[queue].promoted += count

    def recovered(self, queue: str, waiting: int, dead: int, cause: Cause) -> None:
        """Active -> waiting, dead."""
        self.by_queue[queue].recovered += waiting
        self.by_queue[queue].to_dead += dead

    def handed_back(self, queue: str, count: int) -> None:
        """Handed -> waiting."""
        self.by_queue[queue].handed += count

    def fired(self, queue: str, lag_ms: int) -> None:
        """An occurrence of a schedule -> waiting."""
        self.by_queue[queue].fired += 1

    def missed(self, queue: str, count: int, why: str) -> None:
        """Occurrences without a task; the log tells of them."""

    def trimmed(self, queue: str, completed: int, dead: int) -> None:
        """Completed and dead -> gone."""
        self.by_queue[queue].forgotten += completed
        self.by_queue[queue].discarded += dead


async def pass_over(link: Link, queues: Sequence[str], patience_s: float = PATIENCE_S) -> list[Summary]:
    """One pass over `queues`. Raises BrokerUnavailable; a queue whose data is damaged has an `error` instead."""
    summaries = Summaries(queues)
    accord = Accord(lambda: queues)
    _note(summaries, await accord.visit(link, queues))
    queues = accord()
    promoter, recoverer, janitor = Promoter(summaries), Recoverer(summaries), Janitor(summaries)
    await _work_off(promoter, link, queues, summaries)
    await _work_off(Timekeeper(summaries), link, queues, summaries)
    await _look_until_verdicts(recoverer, link, queues, summaries, patience_s)
    await _work_off(Advancer(), link, queues, summaries)
    await _work_off(janitor, link, queues, summaries)
    for queue, workers in recoverer.suspected.items():
        summaries.by_queue[queue].suspected = len(workers)
    return list(summaries.by_queue.values())


async def _work_off(chore: Chore, link: Link, queues: Sequence[str], summaries: Summaries) -> None:
    """Visit until no queue wants the next visit at once."""
    busy = list(queues)
    for _ in range(MOST_BATCHES):
        visit = await chore.visit(link, busy)
        _note(summaries, visit)
        busy = [queue for queue in busy if visit.pauses_s.get(queue) == 0.0]
        if not busy:
            return


async def _look_until_verdicts(
    recoverer: Recoverer, link: Link, queues: Sequence[str], summaries: Summaries, patience_s: float
) -> None:
    started = time.monotonic()
    pending = list(queues)
    while pending:
        visit = await recoverer.visit(link, pending)
        _note(summaries, visit)
        elapsed_s = time.monotonic() - started
        busy = [queue for queue in pending if visit.pauses_s.get(queue) == 0.0]
        silent = [queue for queue in pending if recoverer.suspected.get(queue)]
        lying = await _with_handed(link, pending) if elapsed_s < HANDED_PATIENCE_S else []
        if elapsed_s > patience_s:
            return
        late = await _with_late_workers(link, pending)
        pending = [queue for queue in pending if queue in {*busy, *silent, *lying, *late}]
        if pending and not busy:
            await asyncio.sleep(LOOK_EVERY_S)


async def _with_handed(link: Link, queues: Sequence[str]) -> list[str]:
    """Those of `queues` that have a task between an idle worker's BLMOVE and its fetch."""
    lengths = await link.run_all([command("LLEN", Keys(queue).handed, read=int) for queue in queues])
    return [queue for queue, length in zip(queues, lengths, strict=True) if isinstance(length, int) and length]


async def _with_late_workers(link: Link, queues: Sequence[str]) -> list[str]:
    """Those of `queues` where a worker has missed some beats and its deadline is still to come."""
    rosters = await link.run_all([WorkerRegistry(queue).list() for queue in queues])
    return [
        queue
        for queue, workers in zip(queues, rosters, strict=True)
        if not isinstance(workers, BrokerError)
        and any(0 < one.left_ms < (1 - LATE_SHARE) * one.timeout_ms for one in workers)
    ]


def _note(summaries: Summaries, visit: Visit) -> None:
    for queue, error in visit.refusals.items():
        summaries.by_queue[queue].error = str(error)
