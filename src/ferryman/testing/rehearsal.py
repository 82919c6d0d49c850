"""Rehearsal: a worker for tests, as the Tester sees it; the package `ferryman-worker` has it.

This library knows no worker, so it finds the rehearsal as the command line finds its commands: by an entry point.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

from ferryman.link import Link
from ferryman.queue import Queue
from ferryman.testing.run import Run
from ferryman.testing.strikes import Strike

GROUP: Final = "ferryman.testing"


class Rehearsal(Protocol):
    """A registered worker of one queue, in its queue's lifespan, that runs a task when it is asked to."""

    async def run_next(self) -> Run | None:
        """Fetches one task, runs it and tells Redis the outcome; None when nothing waits."""
        ...


class Rehearse(Protocol):
    """Opens a rehearsal. `struck_by(task)`: what stops its runs at once, if something does. `in_this_thread`:
    plain handlers run in the thread that waits in asgiref's `async_to_sync`, not in threads of their own."""

    def __call__(
        self,
        queue: Queue,
        link: Link,
        lifespan: AbstractAsyncContextManager[Any],
        struck_by: Callable[[str], Strike | None],
        in_this_thread: bool,
    ) -> AbstractAsyncContextManager[Rehearsal]: ...


@cache
def find_rehearsal() -> Rehearse:
    """Raises RuntimeError with the install line when there is none."""
    for entry in entry_points(group=GROUP, name="rehearse"):
        rehearse: Rehearse = entry.load()
        return rehearse
    raise RuntimeError("running tasks in a test takes the worker's code. Install it: pip install 'ferryman[testing]'")
