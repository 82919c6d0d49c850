"""OomKill: a worker needs more memory than it may have, and the kernel's OOM killer ends it."""

from __future__ import annotations

import asyncio
from typing import Final

from ferryman.cli.failure import CommandFailed
from ferryman.crashtest import kinds
from ferryman.crashtest.app import HOG_SIGNAL
from ferryman.crashtest.execution_log import now_ms
from ferryman.crashtest.plan import KindOfKill, Order
from ferryman.crashtest.stage import Stage
from ferryman.crashtest.strike import Strike

_DEAD_WITHIN_S: Final = 20.0


class OomKill:
    """Its container restarts in place, as after a SIGKILL."""

    name = kinds.OOM

    def plan(self, worker_timeout_ms: int) -> KindOfKill:
        """Over in a moment."""
        return KindOfKill(self.name, hits_worker=True)

    async def strike(self, stage: Stage, order: Order) -> Strike:
        """Raises CommandFailed when the kernel lets it live."""
        worker, cage = stage.workers[order.victim], stage.cage
        assert cage is not None
        async with cage.free:
            process = await worker.process()
            killed = cage.kills()
            worker.expect_end()
            cage.lock_in(worker.pid)
            at_ms = now_ms()
            worker.send(HOG_SIGNAL)
            try:
                ended_ms = await asyncio.wait_for(worker.ended(process), _DEAD_WITHIN_S)
            except TimeoutError as error:
                raise CommandFailed(f"{process} took more memory than its cgroup has, and lives") from error
            # A worker that had not imported its app yet dies of the signal itself.
            target = process if cage.kills() > killed else f"{process} (before it had started)"
            return Strike(order.number, self.name, target, at_ms, ended_ms, hits=process)
