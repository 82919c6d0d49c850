"""Standstill: times in which Redis did not answer, though nobody had killed it, or this machine let nobody run.

A slow disk under `appendfsync always`, or a virtual machine that gets no processor for a while: then workers tell late
what they did, and a kill finds more that has to run again. Seen by questions to Redis many times a second, over a link
that no fault of the test hits; they explain no more than as long an outage of Redis would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from ferryman.call import command
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.strike import FENCED_WITHIN_MS, Strike, ends_every_promise
from ferryman.errors import BrokerError
from ferryman.link import Link

NAME: Final = "standstill"

_ASK_EVERY_S: Final = 0.05
#: An answer later than this is one (ms): what a worker has to tell must be told within a second.
_LATE_MS: Final = 500.0
#: Two that follow each other this closely (ms) are one: a single answer in between helps nobody.
_BREATH_MS: Final = 200.0
#: From this on what a worker says as its last words may be lost, as when Redis is away.
_OUTAGE_MS: Final = 3_000.0


class Standstills:
    """Over `link`. `gaps`: from when to when (ms) nothing was answered."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.gaps: list[tuple[float, float]] = []

    async def watch(self) -> None:
        """Until it is cancelled."""
        answered_ms = now_ms()
        while True:
            try:
                await self._link.run(command("PING", read=str))
            except BrokerError:
                pass  # on purpose, or it is back in time to count
            else:
                at_ms = now_ms()
                if at_ms - answered_ms > _LATE_MS:
                    self.gaps.append((answered_ms, at_ms))
                answered_ms = at_ms
            await asyncio.sleep(_ASK_EVERY_S)


def strikes_of(gaps: Sequence[tuple[float, float]], kills: Sequence[Strike], worker_timeout_ms: int) -> list[Strike]:
    """What the verdict reckons with: each gap, as far as it is no outage by one of the kills. Pure."""
    return [
        _strike(from_ms, to_ms, worker_timeout_ms)
        for gap in _joined(gaps)
        for from_ms, to_ms in _unasked(gap, kills)
        if to_ms - from_ms > _LATE_MS
    ]


def _joined(gaps: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for from_ms, to_ms in gaps:
        if joined and from_ms - joined[-1][1] <= _BREATH_MS:
            from_ms, _ = joined.pop()
        joined.append((from_ms, to_ms))
    return joined


def _unasked(gap: tuple[float, float], kills: Sequence[Strike]) -> Iterator[tuple[float, float]]:
    """The parts of the gap in which no kill kept Redis away."""
    from_ms, to_ms = gap
    for kill in sorted((one for one in kills if one.is_outage), key=lambda one: one.from_ms):
        if kill.from_ms < to_ms and kill.to_ms > from_ms:
            yield from_ms, kill.from_ms
            from_ms = kill.back_ms or kill.to_ms
    yield from_ms, to_ms


def _strike(from_ms: float, to_ms: float, worker_timeout_ms: int) -> Strike:
    all_stopped = ends_every_promise(to_ms - from_ms, worker_timeout_ms)
    return Strike(
        *(0, NAME, "everybody", from_ms, to_ms + FENCED_WITHIN_MS if all_stopped else to_ms),
        hits="*" if all_stopped else "",
        is_outage=to_ms - from_ms >= _OUTAGE_MS,
        slows="*",
        back_ms=to_ms,
    )
