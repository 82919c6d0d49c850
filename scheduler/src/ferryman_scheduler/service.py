"""Service: the scheduler as a process that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from typing import Final

from ferryman.durability import warn_unless_durable
from ferryman_scheduler.accord import Accord
from ferryman_scheduler.advancer import Advancer
from ferryman_scheduler.connection import Connection
from ferryman_scheduler.health import STALLED_AFTER_S, Health
from ferryman_scheduler.janitor import Janitor
from ferryman_scheduler.metrics import Metrics
from ferryman_scheduler.promoter import Promoter
from ferryman_scheduler.recoverer import Recoverer
from ferryman_scheduler.roster import Roster
from ferryman_scheduler.rounds import Rounds
from ferryman_scheduler.timekeeper import Timekeeper

logger = logging.getLogger(__name__)


#: How long a round may go on after the stop. To break it off is harmless: every move is one script.
GRACE_S: Final = 3.0


async def serve(queues: Sequence[str], port: int, connection: Connection, metrics: Metrics) -> None:
    """Promote, recover, trim and fire schedules for `queues` (none = all that are known) until SIGTERM or SIGINT.

    Closes `connection`. Raises OSError when `port` is taken.
    """
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    roster = Roster(connection, queues)
    accord = Accord(roster)
    loops = [Rounds(chore, connection, accord, metrics) for chore in _chores(metrics)]
    loops.append(Rounds(accord, connection, roster, metrics))
    health = Health(lambda: stalled(loops), metrics.text)
    try:
        server = await health.serve(port)
        logger.info("scheduling %s", ", ".join(queues) or "all queues", extra={"port": _port(server)})
        async with asyncio.TaskGroup() as group:
            runs = [roster.run(stop), *(loop.run(stop) for loop in loops)]
            tasks = [group.create_task(run) for run in runs]
            warning = group.create_task(warn_unless_durable(lambda: connection.link))
            await stop.wait()
            warning.cancel()
            health.stopping = True
            _, unfinished = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in unfinished:
                task.cancel()
        server.close()
        logger.info("stopped")
    finally:
        await connection.close()


def stalled(loops: Sequence[Rounds]) -> list[str]:
    """Names of the loops that have ended no round for too long."""
    return [loop.name for loop in loops if time.monotonic() - loop.turned_at > STALLED_AFTER_S]


def _chores(metrics: Metrics) -> tuple[Promoter, Recoverer, Janitor, Timekeeper, Advancer]:
    return Promoter(metrics), Recoverer(metrics), Janitor(metrics), Timekeeper(metrics), Advancer()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
