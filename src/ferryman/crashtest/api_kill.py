"""ApiKill: `ferryman api` dies while requests are under way, half of the time when Redis has done what they ask.

It explains nothing: what was answered with 201 is there, and what was not answered is sent again by the same ids.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Final

from ferryman.crashtest import kinds
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.stage import Stage
from ferryman.crashtest.strike import Strike

#: Requests come many times a second; when all were answered, there is none to wait for.
_WAIT_S: Final = 3.0


class ApiKill:
    """The next process listens on the same port."""

    name = kinds.API

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """It is away for up to a second, and for as long as it takes to start."""
        return KindOfKill(self.name, hits_worker=False, shortest_ms=0, longest_ms=1_000)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """In mid-request, as far as there are requests."""
        api, poster = stage.api, stage.poster
        assert api is not None
        assert poster is not None
        async with api.turn:
            process = await api.process()
            relays = [stage.links.of(api.place)] if order.dice % 2 and stage.links.all() else []
            with suppress(TimeoutError):
                async with asyncio.timeout(_WAIT_S):
                    for relay in relays:
                        relay.lose_replies()
                        await relay.lost_reply()
                    await poster.in_flight()
            api.expect_end(absent_s=order.lasts_ms / 1_000)
            at_ms = now_ms()
            api.send(signal.SIGKILL, group=True)
            for relay in relays:
                relay.heal()
            return Strike(order.number, self.name, process, at_ms, await api.ended(process))
