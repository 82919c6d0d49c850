"""Strikes: which handlers' runs are stopped in a test, and by what: their timeout, or somebody who cancels the task."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Literal

from ferryman.handler import AnyHandler
from ferryman.queue import Queue

Strike = Literal["timeout", "cancel"]


class Strikes:
    """Asked before each run."""

    def __init__(self) -> None:
        self._striking: list[tuple[AnyHandler, Strike]] = []

    @contextmanager
    def on(self, handlers: Sequence[AnyHandler], strike: Strike) -> Generator[None]:
        """Inside, runs of these handlers are struck. Raises ValueError for a handler in a thread."""
        for handler in handlers:
            if handler.run_in == "thread":
                raise ValueError(f"task {handler.name!r} runs in a thread, which can't be stopped: it has no timeout")
        entries = [(handler, strike) for handler in handlers]
        self._striking += entries
        try:
            yield
        finally:
            for entry in entries:
                self._striking.remove(entry)

    def of(self, queue: Queue, task: str) -> Strike | None:
        """What strikes the runs of this task."""
        return next((strike for h, strike in self._striking if h.queue is queue and h.name == task), None)
