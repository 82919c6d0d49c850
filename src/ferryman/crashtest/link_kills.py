"""Link kills: faults of the connection to Redis, of a worker, a scheduler or who enqueues.

What they may cost: nothing. A link never sends anything again by itself, every exit from active is fenced by its
delivery's token, and a fetch whose reply was lost is found by comparing lists. So none of them is a reason for a
task to run twice, but for `link-down`, which lasts until the worker's promise has run out: then others may have its
tasks, and it must have stopped its code before they start.

All durations are fractions of the worker timeout, since workers wait for a reply for a quarter of it: those that
must not cost the promise are shorter, and a half-open connection is given up before what it holds arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ferryman.crashtest import kinds
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.links import PRODUCER
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.relay import Relay
from ferryman.crashtest.stage import BEYOND_TIMEOUT_MS, Stage
from ferryman.crashtest.strike import FENCED_WITHIN_MS, Strike

#: The latency of a slow link, each way, as a part of the worker timeout; and its pieces (bytes).
_LATENCY: Final = 1 / 150
_PIECE: Final = 700

#: After several failures a worker waits so long before it tries again (ms).
_LONGEST_BACKOFF_MS: Final = 2_000

#: What is done to a link for so many seconds, given the worker timeout (ms).
Fault = Callable[[Relay, float, int], Awaitable[None]]


async def _cut(relay: Relay, lasts_s: float, worker_timeout_ms: int) -> None:
    relay.cut()


async def _lose_replies(relay: Relay, lasts_s: float, worker_timeout_ms: int) -> None:
    relay.lose_replies()
    try:
        await asyncio.sleep(lasts_s)
    finally:
        relay.heal()


async def _slow_down(relay: Relay, lasts_s: float, worker_timeout_ms: int) -> None:
    relay.slow_down(worker_timeout_ms / 1_000 * _LATENCY, _PIECE)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        relay.heal()


async def _half_open(relay: Relay, lasts_s: float, worker_timeout_ms: int) -> None:
    relay.freeze(newcomers=False)
    await asyncio.sleep(lasts_s)
    await relay.thaw()


class WorkerLink:
    """`fault` hits one worker, for `shortest` to `longest` parts of the worker timeout."""

    def __init__(self, name: str, fault: Fault, shortest: float, longest: float) -> None:
        self.name = name
        self._fault = fault
        self._shortest = shortest
        self._longest = longest

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """It must be over before the same worker is hit again."""
        shortest_ms, longest_ms = (round(part * worker_timeout_ms) for part in (self._shortest, self._longest))
        return KindOfKill(self.name, hits_worker=True, shortest_ms=shortest_ms, longest_ms=longest_ms)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """Returns when the link is as before."""
        worker = stage.workers[order.victim]
        process = await worker.process()
        at_ms = now_ms()
        await self._fault(stage.links.of(worker.place), order.lasts_ms / 1_000, stage.worker_timeout_ms)
        healed_ms = now_ms()
        back_ms = healed_ms + _LONGEST_BACKOFF_MS
        return Strike(order.number, self.name, process, at_ms, healed_ms, slows=process, back_ms=back_ms)


class LinkCut:
    """Every third time everybody's connections are reset at once, as when a proxy or a firewall restarts."""

    name = kinds.LINK_CUT

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """It takes no time."""
        return KindOfKill(self.name, hits_worker=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """Those that open a connection afterwards get one."""
        worker = stage.workers[order.victim]
        process = await worker.process()
        everybody = order.dice % 3 == 0
        at_ms = now_ms()
        for relay in stage.links.all() if everybody else [stage.links.of(worker.place)]:
            relay.cut()
        target, slows = ("everybody", "*") if everybody else (process, process)
        return Strike(order.number, self.name, target, at_ms, now_ms(), slows=slows)


class LinkDown:
    """The worker lives and cannot reach Redis: it must stop its code before its promise is taken for broken."""

    name = kinds.LINK_DOWN

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """As a pause."""
        shortest_ms, longest_ms = (worker_timeout_ms + beyond for beyond in BEYOND_TIMEOUT_MS)
        return KindOfKill(self.name, hits_worker=True, shortest_ms=shortest_ms, longest_ms=longest_ms, idles=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """What it said in this time arrives when it has been declared dead."""
        worker = stage.workers[order.victim]
        process = await worker.process()
        relay = stage.links.of(worker.place)
        at_ms = now_ms()
        relay.freeze(newcomers=True)
        await asyncio.sleep(order.lasts_ms / 1_000)
        await relay.thaw()
        fenced_ms = at_ms + stage.worker_timeout_ms + FENCED_WITHIN_MS
        return Strike(
            order.number,
            self.name,
            process,
            at_ms,
            fenced_ms,
            hits=process,
            stops_first=True,
            slows=process,
            back_ms=now_ms(),
        )


class OtherLink:
    """`places(stage, order)` names whose link fails; which of the faults it is, the dice says."""

    _variants: Final[Sequence[tuple[str, Fault]]] = (
        (kinds.LINK_LOST_REPLY, _lose_replies),
        (kinds.LINK_CUT, _cut),
        (kinds.LINK_HALF_OPEN, _half_open),
        (kinds.LINK_SLOW, _slow_down),
    )

    def __init__(self, name: str, place: Callable[[Stage, Order], str]) -> None:
        self.name = name
        self._place = place

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """No worker is hit."""
        shortest_ms, longest_ms = worker_timeout_ms // 50, worker_timeout_ms // 3
        return KindOfKill(self.name, hits_worker=False, shortest_ms=shortest_ms, longest_ms=longest_ms)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """One after the other, when two of them meet at one link."""
        place = self._place(stage, order)
        variant, fault = self._variants[order.dice % len(self._variants)]
        relay = stage.links.of(place)
        async with relay.busy:
            at_ms = now_ms()
            await fault(relay, order.lasts_ms / 1_000, stage.worker_timeout_ms)
        return Strike(order.number, self.name, f"{place} ({variant})", at_ms, now_ms())


def _producer(stage: Stage, order: Order) -> str:
    # Every fourth time who enqueues over HTTP, if anybody does.
    return stage.api.place if stage.api is not None and order.number % 4 == 0 else PRODUCER


#: All of them. A lost reply and a slow link leave time for beats; a half-open one lasts until a worker gives it up.
LINK_KILLS: Final = (
    LinkCut(),
    WorkerLink(kinds.LINK_LOST_REPLY, _lose_replies, 1 / 50, 1 / 5),
    WorkerLink(kinds.LINK_SLOW, _slow_down, 1 / 10, 1 / 3),
    WorkerLink(kinds.LINK_HALF_OPEN, _half_open, 1 / 3, 2 / 3),
    LinkDown(),
    OtherLink(kinds.LINK_SCHEDULER, lambda stage, order: stage.scheduler(order).place),
    OtherLink(kinds.LINK_PRODUCER, _producer),
)
