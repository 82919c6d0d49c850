"""Dead hooks: tells the middlewares of a queue about tasks that this worker has sent to dead, one at a time.

Their code runs beside that of tasks and holds nothing up: a plain hook in a thread, a coroutine in the loop. What is
not told when the worker stops stays untold; the task is in dead all the same.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ferryman.middleware import DeadTask, Middleware, overridden
from ferryman.options import headers_of
from ferryman.protocol import ExitReply
from ferryman_worker.batch import Exit
from ferryman_worker.outcome import Crash, DeadLetter

logger = logging.getLogger(__name__)


def died(leaving: Exit, answer: object, queue: str) -> DeadTask | None:
    """What is to be told of an exit that Redis has answered; None when its task goes on, or nobody wants to hear."""
    delivery = leaving.delivery
    match leaving.verdict, answer:
        case DeadLetter(error), ExitReply.OK:
            pass
        case Crash(reason), ExitReply.DEAD:
            error = reason
        case _:
            return None
    if delivery is None:
        return None
    return DeadTask(
        queue, delivery.name, delivery.id, delivery.attempt, error, delivery.args, headers_of(delivery.options)
    )


#: Calls a plain hook with its task, off the loop.
InThread = Callable[[Callable[..., Any], DeadTask], Awaitable[Any]]


class DeadHooks:
    """The `on_dead` of every middleware that has one; false when none has."""

    def __init__(self, middlewares: Sequence[Middleware], in_thread: InThread = asyncio.to_thread) -> None:
        self._in_thread = in_thread
        self._hooks = overridden(middlewares, "on_dead")
        self._untold: asyncio.Queue[DeadTask] = asyncio.Queue()
        self._teller: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def tell(self, dead: DeadTask) -> None:
        """Soon; must be called in the loop."""
        self._untold.put_nowait(dead)
        if self._teller is None:
            self._teller = asyncio.create_task(self._tell_all(), name="on_dead")

    async def close(self, patience_s: float) -> None:
        """Waits until all is told, so long at most."""
        if self._teller is None:
            return
        try:
            async with asyncio.timeout(patience_s):
                await self._untold.join()
        except TimeoutError:
            logger.warning("on_dead was not called for %d tasks: the worker stops", self._untold.qsize() + 1)
        self._teller.cancel()

    async def _tell_all(self) -> None:
        while True:
            dead = await self._untold.get()
            for hook in self._hooks:
                try:
                    if inspect.iscoroutinefunction(hook):
                        await hook(dead)
                    elif (rest := await self._in_thread(hook, dead)) is not None:
                        await rest
                except Exception:
                    where = {"task_id": dead.task_id, "queue": dead.queue, "task": dead.task}
                    logger.exception("on_dead of %s failed", getattr(hook, "__self__", hook), extra=where)
            self._untold.task_done()
