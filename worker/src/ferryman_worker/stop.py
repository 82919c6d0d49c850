"""Stop: how this process is told to end, and the last way out.

The first SIGTERM (or Ctrl-C) asks for a clean end, the second one for a quick one: running tasks are stopped at
once and go back. A worker that lost its beat child or its nursery asks itself to stop, and exits non-zero.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

logger = logging.getLogger(__name__)


class StopRequest:
    """Set once, never taken back."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        #: Don't wait for running tasks.
        self.hurried = False
        self.exit_code = 0

    @property
    def requested(self) -> bool:
        """A stop was asked for."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Until a stop is asked for."""
        await self._event.wait()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on signals ask."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)

    def ask(self, why: str, exit_code: int = 0) -> None:
        """Asks from inside."""
        logger.log(logging.ERROR if exit_code else logging.INFO, "stopping: %s", why)
        self.exit_code = self.exit_code or exit_code
        self._event.set()

    def _signalled(self, number: int) -> None:
        name = signal.Signals(number).name
        if self.requested:
            logger.warning("%s again: not waiting for running tasks", name)
            self.hurried = True
        else:
            self.ask(name)


def exit_hard(why: str) -> NoReturn:
    """Ends the process now, threads and all: code that may not run any longer can't be stopped in another way."""
    logger.critical("%s", why)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(1)
